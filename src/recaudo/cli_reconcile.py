"""recaudo reconcile: compares the gateways' own lists with what is booked."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from recaudo.cli_shell import account_of, console, count, fail, tell, with_core
from recaudo.config import read_settings


def reconcile(
    merchant: Annotated[str | None, typer.Option(help="Only this merchant's accounts, by its slug.")] = None,
    since: Annotated[str, typer.Option(help="How far back: 2d, 36h. At most 92d.")] = "2d",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per gateway that was asked.")] = False,
) -> None:
    """Compare the gateways' own lists with what is booked, and book what they collected and nobody told us.

    Exit 1 when differences are left for a person, or a gateway could not be asked.
    """
    span = _span(since)

    async def run(core: Any) -> list[Any]:  # noqa: ANN401
        until = core.clock.now()
        return await _compare(core, await _accounts_to_compare(core, merchant), until - span, until)

    compared = with_core(read_settings(), run)
    if json:
        for one in compared:
            print(_comparison_json(one))  # noqa: T201 - the result, for programs
    else:
        _print_comparisons(compared)
    left, mute = sum(len(one.open) for one in compared), sum(one.problem is not None for one in compared)
    if left or mute:
        open_words = count(left, "difference is", "differences are")
        fail(f"{open_words} left for a person, and {count(mute, 'gateway', 'gateways')} could not be asked.")
    tell(f"Both sides agree: {count(len(compared), 'gateway', 'gateways')} compared.")


def _span(text: str) -> timedelta:
    from recaudo.usecases.reconciling import DAYS_MAX

    found = re.fullmatch(r"([0-9]{1,5})([dh])", text)
    span = timedelta(**{{"d": "days", "h": "hours"}[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < span <= timedelta(days=DAYS_MAX):
        fail(f"--since is {text[:20]!r}; it must be a number of days or hours such as 2d or 36h, at most {DAYS_MAX}d.")
    return span


async def _accounts_to_compare(core: Any, slug: str | None) -> list[Any]:  # noqa: ANN401
    from recaudo.store.accounts import find_account
    from recaudo.store.gateways import accounts_with_gateways

    merchant_id = None if slug is None else (await account_of(core, slug, test=False)).merchant_id
    async with core.database.connection() as connection:
        ids = await accounts_with_gateways(connection, merchant_id)
        found = [await find_account(connection, account_id) for account_id in ids]
    return [account for account in found if account is not None]


async def _compare(core: Any, accounts: Sequence[Any], since: datetime, until: datetime) -> list[Any]:  # noqa: ANN401
    """Compare account by account, with a bar that moves by gateways."""
    from rich.progress import Progress

    from recaudo.usecases import gateways as use_cases
    from recaudo.usecases.reconciling import compare_account

    each = [len(await use_cases.list_all(core, account)) for account in accounts]
    compared: list[Any] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(each))
        for account, number in zip(accounts, each, strict=True):
            progress.update(task, description=_account_name(account))
            compared += await compare_account(core, account, since, until)
            progress.advance(task, number)
    return compared


_DIFFERENCES = {
    "booked_late": "collected there, not told to us; booked now",
    "unmatched": "collected there, under a reference that nothing here has; in suspense",
    "amount": "another amount there than here",
    "gone_back": "another sum went back there than here",
    "not_there": "booked here, not confirmed there",
}


def _print_comparisons(compared: Sequence[Any]) -> None:
    from rich.table import Table

    from recaudo.domain.money import label
    from recaudo.usecases.reconciling import differences

    def money(minor: int | None, currency: str) -> str:
        return "-" if minor is None else label(minor, currency)

    table = Table("Account", "Gateway", "Transaction", "There", "Here", "What is different", box=None)
    for one in compared:
        where = (_account_name(one.account), one.gateway)
        if one.problem is not None:
            table.add_row(*where, "", "", "", f"[red]could not be asked: {escape(one.problem)}[/red]")
        elif one.made is None:
            table.add_row(*where, "", "", "", "[dim]tells no list of transactions: not compared[/dim]")
        for found in () if one.made is None else differences(one.made):
            colour = "green" if found.is_mended else "red"
            there, here = (money(minor, found.currency) for minor in (found.theirs_minor, found.ours_minor))
            words = f"[{colour}]{_DIFFERENCES[found.kind]}[/{colour}]"
            table.add_row(*where, escape(found.gateway_tx_id), there, here, words)
    if table.row_count:
        Console().print(table, soft_wrap=True)


def _account_name(account: Any) -> str:  # noqa: ANN401
    return f"{account.merchant_slug} {'test' if account.is_test else 'live'}"


def _comparison_json(one: Any) -> str:  # noqa: ANN401 - a Comparison
    from recaudo.dialects.recaudo.render_money import reconciliation

    facts = {
        "merchant": one.account.merchant_slug,
        "account_id": str(one.account.id),
        "is_test": one.account.is_test,
        "gateway": one.gateway,
        "problem": one.problem,
        "reconciliation": None if one.made is None else reconciliation(one.made),
    }
    return msgspec.json.encode(facts).decode()
