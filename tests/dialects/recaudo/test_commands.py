"""The commands about gateways and reconciliation, against the fakes of the vendors."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Ended, environment, recaudo
from tests.dialects.recaudo.shop import Shop


def around(shop: Shop, tmp_path: Path, **more: str) -> dict[str, str]:
    """The environment of a command that meets the shop's server and its vendors."""
    world = shop.world
    ours = {
        "RECAUDO_PUBLIC_URL": "https://cobros.example.com",
        "RECAUDO_WOMPI_URL": world.vendors.wompi_url or "",
        "RECAUDO_MERCADOPAGO_URL": world.vendors.mercadopago_url or "",
    }
    return environment(tmp_path, world.database_url, **ours | more)


def told(shop: Shop, ended: Ended) -> Ended:
    """What a command says must not hold a secret either."""
    shop.told += [ended.out, ended.err]
    return ended


async def run(shop: Shop, tmp_path: Path, *arguments: str, **more: str) -> Ended:
    return told(shop, await recaudo(*arguments, environment=around(shop, tmp_path, **more)))


def variables(keys: dict[str, str], prefix: str = "WOMPI_") -> dict[str, str]:
    return {f"{prefix}{name.upper()}": text for name, text in keys.items()}


async def add(shop: Shop, tmp_path: Path, *options: str, **keys: str) -> Ended:
    keys = keys or shop.wompi_keys()
    slug = shop.client.slug
    return await run(
        shop, tmp_path, "gateway", "add", slug, "wompi", "--test", "--from-env", "WOMPI_", *options, **variables(keys)
    )


def assert_refused(ended: Ended, *parts: str) -> None:
    assert (ended.status, ended.out) == (1, ""), ended
    assert ended.err.startswith("recaudo: ")
    for part in parts:
        assert part in ended.err, ended.err


async def test_a_gateway_is_added_from_the_environment_tried_listed_switched_and_removed(
    shop: Shop, tmp_path: Path
) -> None:
    slug = shop.client.slug
    added = await add(shop, tmp_path, "--position", "3")
    assert added.status == 0, added
    assert added.out.startswith("https://cobros.example.com/notices/")
    assert f"recaudo gateway verify {slug} wompi --test" in added.err
    (shown,) = (await shop.ok("GET", "/gateways"))["data"]
    assert (shown["position"], shown["enabled"], shown["verified_at"]) == (3, True, None)
    assert shown["notice_url"].rpartition("/")[2] == added.out.strip().rpartition("/")[2]

    verified = await run(shop, tmp_path, "gateway", "verify", slug, "wompi", "--test")
    assert (verified.status, "Acueducto de Sopó" in verified.err) == (0, True), verified
    listed = await run(shop, tmp_path, "gateway", "list", slug, "--test", "--json")
    row = json.loads(listed.out)
    assert (row["kind"], row["enabled"], row["last_problem"]) == ("wompi", True, None)
    assert row["credentials"]["private_key"] == {"set": True, "shown": "…"}
    people = await run(shop, tmp_path, "gateway", "list", slug, "--test")
    assert "wompi" in people.out
    assert added.out.strip() in people.out

    for word, is_on in (("disable", False), ("enable", True)):
        assert (await run(shop, tmp_path, "gateway", word, slug, "wompi", "--test")).status == 0
        assert (await shop.ok("GET", "/gateways"))["data"][0]["enabled"] is is_on
    assert (await run(shop, tmp_path, "gateway", "remove", slug, "wompi", "--test")).status == 0
    assert (await shop.ok("GET", "/gateways"))["data"] == []
    empty = await run(shop, tmp_path, "gateway", "list", slug, "--test", "--json")
    assert (empty.status, empty.out) == (0, "")


async def test_a_gateways_keys_place_and_address_are_changed(shop: Shop, tmp_path: Path) -> None:
    slug = shop.client.slug
    await add(shop, tmp_path)
    (before,) = (await shop.ok("GET", "/gateways"))["data"]
    command = ("gateway", "set", slug, "wompi", "--test")
    other = shop.wompi_keys()
    changed = await run(shop, tmp_path, *command, "--from-env", "W_", "--position", "5", **variables(other, "W_"))
    assert (changed.status, "recaudo gateway verify" in changed.err) == (0, True), changed
    (now,) = (await shop.ok("GET", "/gateways"))["data"]
    assert (now["position"], now["credentials"]["public_key"]["shown"][1:]) == (5, other["public_key"][-4:])
    assert now["notice_url"] == before["notice_url"]
    wrong = await run(shop, tmp_path, *command, "--credential", "public_key=pub_prod_0123456789abcdef")
    assert_refused(wrong, "public_key", "production")
    assert_refused(await run(shop, tmp_path, *command), "Nothing to change")
    rotated = await run(shop, tmp_path, "gateway", "rotate", slug, "wompi", "--test", "--overlap", "0")
    assert (rotated.status, "is closed" in rotated.err) == (0, True), rotated
    (last,) = (await shop.ok("GET", "/gateways"))["data"]
    assert rotated.out.strip().rpartition("/")[2] == last["notice_url"].rpartition("/")[2]
    assert last["notice_url"] != before["notice_url"]


async def test_credentials_may_come_from_files_and_as_arguments_with_a_warning(shop: Shop, tmp_path: Path) -> None:
    keys = shop.wompi_keys()
    options: list[str] = []
    for name, text in keys.items():
        (tmp_path / name).write_text(f"{text}\n")
        given = text if name in {"public_key", "events_secret"} else f"@{tmp_path / name}"
        options += ["--credential", f"{name}={given}"]
    added = await run(shop, tmp_path, "gateway", "add", shop.client.slug, "wompi", "--test", *options)
    assert added.status == 0, added
    assert "events_secret was given as an argument" in added.err
    assert "public_key was given" not in added.err
    made = (await shop.ok("GET", "/gateways"))["data"][0]
    assert (await shop.ok("POST", f"/gateways/{made['id']}/verify"))["ok"] is True


async def test_what_cannot_be_added_is_told_in_plain_words(shop: Shop, tmp_path: Path) -> None:
    slug, keys = shop.client.slug, shop.wompi_keys()

    async def refused(*arguments: str, **more: str) -> Ended:
        return await run(shop, tmp_path, "gateway", "add", *arguments, **more)

    assert_refused(await refused(slug, "paypal", "--test"), "'paypal'", "mercadopago, wompi")
    assert_refused(await refused("nobody", "wompi", "--test"), "'nobody'")
    assert_refused(await refused(slug, "wompi", "--test"), "Nobody can be asked", "private_key", "--from-env")
    assert_refused(await refused(slug, "wompi", "--from-env", "NOTHING_"), "NOTHING_PUBLIC_KEY")
    assert_refused(await refused(slug, "wompi", "--credential", keys["private_key"]), "NAME=@FILE")
    missing = f"private_key=@{tmp_path / 'none'}"
    assert_refused(await refused(slug, "wompi", "--credential", missing), "private_key", "cannot be read")
    # Keys of the sandbox, and the account that is live.
    live = await refused(slug, "wompi", "--from-env", "WOMPI_", **variables(keys))
    assert_refused(live, "private_key", "prv_prod_")
    assert (await add(shop, tmp_path)).status == 0
    assert_refused(await add(shop, tmp_path), "already", "recaudo gateway set")


@pytest.mark.parametrize("word", ["verify", "enable", "disable", "remove"])
async def test_a_gateway_that_is_not_there_is_told(shop: Shop, tmp_path: Path, word: str) -> None:
    assert_refused(await run(shop, tmp_path, "gateway", word, shop.client.slug, "wompi"), "live account", "'wompi'")


async def test_credentials_that_do_not_work_end_with_1(shop: Shop, tmp_path: Path) -> None:
    keys = shop.wompi_keys() | shop.remember(private_key="prv_test_nobody1234567")
    assert (await add(shop, tmp_path, **keys)).status == 0
    assert_refused(await run(shop, tmp_path, "gateway", "verify", shop.client.slug, "wompi", "--test"), "not confirmed")


async def test_a_gateway_that_something_waits_for_stays(shop: Shop, tmp_path: Path) -> None:
    await shop.set_up("wompi")
    _, attempt = await shop.begin("wompi")
    ended = await run(shop, tmp_path, "gateway", "remove", shop.client.slug, "wompi", "--test")
    assert_refused(ended, "awaited by 1 attempt or refund", "disable")
    await shop.pay_at_vendor(attempt)


# --- Reconciling ---


async def reconciled(shop: Shop, tmp_path: Path, *options: str) -> tuple[Ended, list[Any]]:
    ended = await run(shop, tmp_path, "reconcile", "--merchant", shop.client.slug, "--json", *options)
    return ended, [json.loads(line) for line in ended.out.splitlines()]


async def test_both_sides_agree_and_the_command_ends_with_0(shop: Shop, tmp_path: Path) -> None:
    for kind in ("wompi", "mercadopago"):
        await shop.set_up(kind)
        await shop.paid(kind)
    ended, rows = await reconciled(shop, tmp_path, "--since", "36h")
    assert ended.status == 0, ended
    assert [(row["gateway"], row["problem"], row["is_test"]) for row in rows] == [
        ("wompi", None, True),
        ("mercadopago", None, True),
    ]
    assert [row["reconciliation"]["transactions"] for row in rows] == [1, 1]
    assert {row["merchant"] for row in rows} == {shop.client.slug}
    people = await run(shop, tmp_path, "reconcile", "--merchant", shop.client.slug)
    assert (people.status, people.out) == (0, "")
    assert "2 gateways compared" in people.err


async def test_a_receipt_that_the_gateway_does_not_confirm_is_left_for_a_person(shop: Shop, tmp_path: Path) -> None:
    await shop.set_up("wompi")
    await shop.paid("wompi")
    account_id = shop.client.account_id
    # Our side is compared only as far as an hour ago.
    await shop.world.execute(
        "UPDATE receipt SET gateway_tx_id = 'gone', at = at - interval '2 hours' WHERE account_id = $1", account_id
    )
    ended, (row,) = await reconciled(shop, tmp_path)
    assert ended.status == 1, ended
    assert "left for a person" in ended.err
    kinds = {d["kind"] for d in row["reconciliation"]["differences"] if not d["is_mended"]}
    assert "not_there" in kinds
    people = await run(shop, tmp_path, "reconcile", "--merchant", shop.client.slug)
    assert people.status == 1
    assert "booked here, not confirmed there" in people.out
    assert "$ 50.000" in people.out


async def test_a_gateway_that_cannot_be_asked_ends_with_1(shop: Shop, tmp_path: Path) -> None:
    await shop.set_up("wompi")
    arguments = ("reconcile", "--merchant", shop.client.slug)
    ended = await run(shop, tmp_path, *arguments, RECAUDO_WOMPI_URL="http://127.0.0.1:9")
    assert ended.status == 1
    assert "could not be asked" in ended.out
    assert "0 differences are left for a person, and 1 gateway could not be asked" in ended.err


@pytest.mark.parametrize("since", ["0d", "93d", "2w", "d", "-1d", "2 d", "100000h"])
async def test_a_time_that_makes_no_sense_is_refused(shop: Shop, tmp_path: Path, since: str) -> None:
    assert_refused(await run(shop, tmp_path, "reconcile", f"--since={since}"), "2d or 36h", "92d")


async def test_an_unknown_merchant_is_told(shop: Shop, tmp_path: Path) -> None:
    assert_refused(await run(shop, tmp_path, "reconcile", "--merchant", "nobody"), "'nobody'")
