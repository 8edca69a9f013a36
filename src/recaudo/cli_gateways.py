"""recaudo gateway add | set | rotate | list | verify | enable | disable | remove."""

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from recaudo.cli_shell import OfTest, Slug, account_of, console, count, fail, tell, with_core
from recaudo.config import Settings, read_settings

app = typer.Typer(help="Gateways: who collects a merchant's money.", no_args_is_help=True)

Credentials = Annotated[
    list[str] | None, typer.Option("--credential", help="NAME=@FILE, or NAME=VALUE. May be repeated.")
]
FromEnvironment = Annotated[
    str | None, typer.Option(help="Read credentials from variables: this prefix and the name in capitals.")
]
Kind = Annotated[str, typer.Argument(help="The gateway, for example wompi or mercadopago.")]


@app.command("add")
def add_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    credential: Credentials = None,
    from_env: FromEnvironment = None,
    position: Annotated[int, typer.Option(min=0, max=1000, help="Lower ones are tried first.")] = 0,
) -> None:
    """Set up a gateway of a merchant, and print the address that its vendor's panel asks for.

    Give secrets by prompt, by environment or as NAME=@FILE: an argument shows in the machine's list of processes. What
    is required and not given is asked for.
    """
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()

    async def run(core: Any) -> Any:  # noqa: ANN401 - a Core, whose module loads only when a command needs it
        account = await account_of(core, slug, test=test)
        if kind not in use_cases.kinds(core):
            fail(f"There is no gateway {kind!r}; use one of {', '.join(use_cases.kinds(core))}.")
        asked = core.gateways[kind].abilities.credentials
        given = _given_credentials(asked, credential or (), from_env)
        command = use_cases.NewGateway(kind=kind, credentials=_complete(asked, given), position=position)
        made, respond = _handed_out()
        try:
            await use_cases.create(core, account, command, respond, once=None)
        except use_cases.InvalidCredentialsError as error:
            fail(_credential_problems(error))
        except use_cases.KindTakenError:
            fail(f"The merchant has {kind} already. Change it with recaudo gateway set, or remove it.")
        return made[-1]

    made = with_core(settings, run)
    tell(f"Added, not tried yet: recaudo gateway verify {slug} {kind}{' --test' if test else ''}")
    tell("Paste this address into the vendor's panel, for its events or webhooks:")
    print(_notice_url(settings, made))  # noqa: T201 - the result


@app.command("set")
def set_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    credential: Credentials = None,
    from_env: FromEnvironment = None,
    position: Annotated[int | None, typer.Option(min=0, max=1000, help="Lower ones are tried first.")] = None,
) -> None:
    """Change a gateway's credentials or its place in the order. What is not named stays as it is."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        asked = core.gateways[kind].abilities.credentials
        given = _given_credentials(asked, credential or (), from_env)
        fields = ({"credentials": given} if given else {}) | ({} if position is None else {"position": position})
        if not fields:
            fail("Nothing to change: give --credential, --from-env or --position.")
        try:
            await use_cases.change(core, account, found.id, lambda _: fields, lambda _: (200, b""), once=None)
        except use_cases.InvalidCredentialsError as error:
            fail(_credential_problems(error))
        except use_cases.GatewayBusyError as error:
            whom = count(error.waiting, "attempt or refund waits", "attempts or refunds wait")
            fail(f"These are keys of another account at {kind}, and {whom} for the answer of the present one.")

    with_core(read_settings(), run)
    tell(f"Changed. Try it: recaudo gateway verify {slug} {kind}{' --test' if test else ''}")


@app.command("rotate")
def rotate_gateway(
    slug: Slug,
    kind: Kind,
    *,
    test: OfTest = False,
    overlap: Annotated[int, typer.Option(min=0, max=168, help="Hours for which the old address goes on.")] = 24,
) -> None:
    """Give a gateway another address for its notices, and print it for the vendor's panel."""
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()
    made, respond = _handed_out()

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        await use_cases.rotate(core, account, found.id, lambda: timedelta(hours=overlap), respond, once=None)

    with_core(settings, run)
    goes_on = f"goes on for {count(overlap, 'hour', 'hours')}" if overlap else "is closed"
    tell(f"Paste this address into the vendor's panel; the old one {goes_on}:")
    print(_notice_url(settings, made[-1]))  # noqa: T201 - the result


@app.command("list")
def list_gateways(
    slug: Slug,
    *,
    test: OfTest = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per gateway.")] = False,
) -> None:
    """List a merchant's gateways in the order in which they are tried; credentials are not shown."""
    from recaudo.dialects.recaudo.render_money import gateway
    from recaudo.usecases import gateways as use_cases

    settings = read_settings()

    async def run(core: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        account = await account_of(core, slug, test=test)
        found = await use_cases.list_all(core, account)
        return [gateway(it, core.gateways.get(it.kind), settings.public_url, is_test=account.is_test) for it in found]

    rows = with_core(settings, run)
    if json:
        for row in rows:
            print(msgspec.json.encode(row).decode())  # noqa: T201 - the result, for programs
    elif not rows:
        tell("No gateway. Add one with: recaudo gateway add")
    else:
        _print_gateways(rows)


@app.command("verify")
def verify_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Try a gateway's credentials with a call that changes nothing; exit 1 if they do not work."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> Any:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        return await use_cases.verify(core, account, found.id)

    verified = with_core(read_settings(), run)
    if verified.problem is not None:
        fail(f"The credentials of {kind} are not confirmed: {verified.problem.rstrip('.')}.")
    whose = f" They are those of {verified.merchant_name}." if verified.merchant_name else ""
    tell(f"The credentials of {kind} work.{whose}")


@app.command("enable")
def enable_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Offer a gateway to payers again."""
    _switch(slug, kind, test=test, enabled=True)
    tell(f"Payers are offered {kind}.")


@app.command("disable")
def disable_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Offer a gateway to payers no more; it is still asked about what was begun."""
    _switch(slug, kind, test=test, enabled=False)
    tell(f"Payers are not offered {kind}. It is still asked about what was begun.")


@app.command("remove")
def remove_gateway(slug: Slug, kind: Kind, *, test: OfTest = False) -> None:
    """Forget a gateway, its credentials and its notices. Refused while something waits for its answer."""
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        try:
            await use_cases.delete(core, account, found.id)
        except use_cases.GatewayBusyError as error:
            whom = count(error.waiting, "attempt or refund", "attempts or refunds")
            fail(
                f"The answer of {kind} is awaited by {whom}. Switch it off with recaudo gateway disable, and remove it "
                "when they are decided."
            )

    with_core(read_settings(), run)
    tell(f"Removed {kind}. Its receipts stay.")


def _handed_out() -> tuple[list[Any], Callable[[Any], tuple[int, bytes]]]:
    """A list, and what a use case is given to answer with, which puts there what was made: nothing is rendered."""
    made: list[Any] = []

    def respond(it: Any) -> tuple[int, bytes]:  # noqa: ANN401 - a MerchantGateway
        made.append(it)
        return 200, b""

    return made, respond


async def _gateway(core: Any, slug: str, kind: str, *, test: bool) -> Any:  # noqa: ANN401 - the account and its gateway
    from recaudo.usecases import gateways as use_cases

    account = await account_of(core, slug, test=test)
    found = next((it for it in await use_cases.list_all(core, account) if it.kind == kind), None)
    if found is None:
        # The environment is what people get wrong.
        fail(f"The {'test' if test else 'live'} account of {slug!r} has no {kind!r}. Did you mean the other account?")
    return account, found


def _switch(slug: str, kind: str, *, test: bool, enabled: bool) -> None:
    from recaudo.usecases import gateways as use_cases

    async def run(core: Any) -> None:  # noqa: ANN401
        account, found = await _gateway(core, slug, kind, test=test)
        await use_cases.change(core, account, found.id, lambda _: {"enabled": enabled}, lambda _: (200, b""), once=None)

    with_core(read_settings(), run)


def _given_credentials(asked: Any, texts: Sequence[str], prefix: str | None) -> dict[str, str]:  # noqa: ANN401
    """What options and environment say; the options count where both do."""
    names = {c.name: c for c in asked}
    given: dict[str, str] = {}
    if prefix is not None:
        variables = {name: f"{prefix}{name.upper()}" for name in names}
        given = {name: text for name, variable in variables.items() if (text := os.environ.get(variable, "").strip())}
        if not given:
            fail(f"None of these variables is set: {', '.join(variables.values())}.")
    for text in texts:
        name, sign, value = text.partition("=")
        if name not in names or not sign:
            # Not repeated: it may be a secret without its name.
            fail(f"--credential takes NAME=@FILE or NAME=VALUE; the names are {', '.join(names)}.")
        if value.startswith("@"):
            value = _read_secret(name, value[1:])
        elif names[name].is_secret:
            tell(f"{name} was given as an argument: other users of this machine could read it. Better: {name}=@FILE.")
        given[name] = value.strip()
    return given


def _credential_problems(error: Any) -> str:  # noqa: ANN401 - an InvalidCredentialsError
    return " ".join(f"{name}: {text.rstrip('.')}." for name, text in error.problems.items())


def _read_secret(name: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a path that the operator typed
            return file.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"The file of {name}, {path!r}, cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.")


def _complete(asked: Any, given: dict[str, str]) -> dict[str, str]:  # noqa: ANN401
    """The credentials with what was not given asked for, secrets without showing what is typed."""
    missing = [c for c in asked if c.is_required and not given.get(c.name)]
    if missing and not sys.stdin.isatty():
        names = ", ".join(c.name for c in missing)
        fail(f"Nobody can be asked here for {names}: give them with --credential NAME=@FILE or --from-env PREFIX.")
    return given | {c.name: _ask_for(c) for c in missing}


def _ask_for(it: Any) -> str:  # noqa: ANN401 - a Credential
    """What somebody types; of a secret nothing is shown, not even what is typed before the question stands there."""
    label = f"{it.name} ({it.hint})" if it.hint else it.name
    if it.is_secret:
        return getpass.getpass(f"{label}: ").strip()
    return console.input(escape(f"{label}: ")).strip()


def _notice_url(settings: Settings, it: Any) -> str:  # noqa: ANN401 - a MerchantGateway
    from recaudo.dialects.recaudo.notices import PREFIX

    return f"{settings.public_url}{PREFIX}{it.notice_key}"


def _print_gateways(rows: Sequence[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("", "Gateway", "Offered", "Credentials", "Address for its notices", box=None)
    for row in rows:
        worked = f"worked {row['verified_at'][:16]}Z" if row["verified_at"] else "not tried yet"
        state = f"[red]{escape(row['last_problem'])}[/red]" if row["last_problem"] else worked
        table.add_row(
            str(row["position"]), row["kind"], "yes" if row["enabled"] else "no", state, escape(row["notice_url"])
        )
    Console().print(table, soft_wrap=True)
