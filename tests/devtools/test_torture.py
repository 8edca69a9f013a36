"""`recaudo webhooks torture` against real receivers: good ones pass, and each fault is told as what it is."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from recaudo.devtools.invented import Inventor
from recaudo.devtools.posing import DIALECTS, Poser
from recaudo.devtools.torture import LARGE_BYTES, SERIES, Expected, Verdict, judge
from recaudo.dialects.treli import ids as ids_of_treli
from recaudo.domain.delivering import Try
from recaudo.system import RandomIds, SystemClock
from tests.commands import Ended, environment, recaudo
from tests.receiver import Received, receiving

SECRET = "wh_tok_EJEMPLO0000000000000000000000000"
OWN_SECRET = "whsec_" + base64.b64encode(b"c" * 32).decode()
TRELI_SECRET = "trl_whsec_EJEMPLO0000000000000000000000000"
FORGERIES = ["bad-signature", "other-body", "no-signature", "other-secret"]
DUPLICATES = ["duplicate", "at-once", "retry"]
NAMES = [step.name for step in SERIES]

Verify = Callable[[Received], bool]


def standard(received: Received) -> bool:
    """As the library of Standard Webhooks does."""
    try:
        Webhook("whsec_" + base64.b64encode(SECRET.encode()).decode()).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


def own(received: Received) -> bool:
    try:
        Webhook(OWN_SECRET).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


def treli(received: Received) -> bool:
    """As the published receiver does, with every v1."""
    parts = [part.split("=", 1) for part in received.headers.get("x-treli-signature", "").split(",")]
    moment = next((part[1] for part in parts if part[0] == "t"), "0")
    mine = hmac.new(TRELI_SECRET.encode(), moment.encode() + b"." + received.body, hashlib.sha256).hexdigest()
    return mine in [part[1] for part in parts if part[0] == "v1"] and abs(time.time() - int(moment)) < 300


def treli_by_dictionary(received: Received) -> bool:
    """One that knows of a single v1 and keeps the last: during a rotation that is the old secret's."""
    named = [part.partition("=") for part in received.headers.get("x-treli-signature", "").split(",")]
    parts = {name: value for name, _, value in named}
    signed = parts.get("t", "").encode() + b"." + received.body
    mine = hmac.new(TRELI_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return mine == parts.get("v1") and abs(time.time() - int(parts["t"])) < 300


def plain(received: Received) -> bool:
    """As OnePay's documentation shows."""
    digest = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, received.headers.get("x-signature", ""))


def reserialised(received: Received) -> bool:
    """As a Python program that signs what it parsed, not what came."""
    body = json.dumps(received.json, separators=(",", ":")).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, received.headers.get("x-signature", ""))


def careful(verify: Verify) -> Callable[[Received], web.Response]:
    return lambda received: web.Response(status=204 if verify(received) else 401)


async def torture(
    home: Path, answer: Callable[[Received], Any], *more: str, secret: str = SECRET
) -> tuple[Ended, dict[str, Any], list[Received]]:
    """Run it with --json; how it ended, what it reported by step, and what the receiver got."""
    async with receiving() as receiver:
        receiver.answer = answer
        ended = await recaudo(
            "webhooks", "torture", receiver.url + "/hooks", "--secret", secret, "--json", *more,
            environment=environment(home, None),
        )  # fmt: skip
    report = json.loads(ended.out)
    assert report["passed"] is (ended.status == 0)
    return ended, {step["name"]: step for step in report["steps"]}, receiver.received


def those(steps: dict[str, Any], verdict: str) -> list[str]:
    return [name for name, step in steps.items() if step["verdict"] == verdict]


# --- Good receivers ---


@pytest.mark.parametrize(
    ("dialect", "secret", "verify", "warned"),
    [
        ("onepay", SECRET, standard, []),
        ("onepay", SECRET, plain, ["old"]),
        ("onepay", SECRET, lambda r: plain(r) and standard(r), []),
        ("treli", TRELI_SECRET, treli, []),
        ("treli", TRELI_SECRET, treli_by_dictionary, []),
        ("recaudo", OWN_SECRET, own, []),
    ],
    ids=["standardwebhooks", "x-signature", "both", "treli", "treli by dictionary", "our own"],
)
async def test_a_careful_receiver_passes(
    tmp_path: Path, dialect: str, secret: str, verify: Verify, warned: list[str]
) -> None:
    ended, steps, received = await torture(tmp_path, careful(verify), "--dialect", dialect, secret=secret)
    assert ended.status == 0
    assert (those(steps, "fail"), those(steps, "warn"), those(steps, "skipped")) == ([], warned, [])
    assert list(steps) == [name for name in NAMES if name != "which-signature" or dialect == "onepay"]
    for name in DUPLICATES:
        assert len({a["status"] for a in steps[name]["answers"]}) == 1
    assert len(steps["at-once"]["answers"]) == 5
    assert all(r.path == "/hooks" and r.headers["content-type"].startswith("application/json") for r in received)


async def test_what_is_sent_is_what_the_dialect_makes() -> None:
    clock, ids = SystemClock(), RandomIds()
    for dialect in DIALECTS.values():
        poser = Poser(dialect, "http://127.0.0.1/", clock, secret=None, token=None)
        inventor = Inventor(dialect, ids, clock.now())
        invoice = inventor.invoice(metadata={})
        created, paid = inventor.created(invoice), inventor.paid(invoice)
        assert (created.subject_version, paid.subject_version) == (1, 2)
        assert created.type in dialect.types
        assert paid.type == "invoice.paid"
        shown = json.loads(paid.body)
        told = shown["invoice"] if dialect.name == "onepay" else shown["data"]["invoice"]
        is_treli = dialect.name == "treli"
        assert told["id"] == (ids_of_treli.shown(ids_of_treli.COLLECTION, invoice.id) if is_treli else str(invoice.id))
        assert (told["items"][0] if is_treli else told)["name"] == "Internet plan - Octubre"
        assert len(told) > 15, "a whole invoice"
        delivery = poser.delivery(paid)
        known_by = shown["id"] if is_treli else dict(delivery.headers)["webhook-id"]
        assert delivery.event_id == known_by
        assert known_by.startswith("evt_")


async def test_the_series_is_what_its_titles_say(tmp_path: Path) -> None:
    _, steps, received = await torture(tmp_path, careful(standard))
    counts = {name: len(step["answers"]) for name, step in steps.items()}
    taken = iter(received)
    by_step = {name: [next(taken) for _ in range(counts[name])] for name in steps}
    first, again = by_step["duplicate"]
    assert first == again
    assert len({r.event_id for r in by_step["at-once"]}) == 1
    earlier, later = by_step["retry"]
    assert (earlier.event_id, earlier.body) == (later.event_id, later.body)
    assert int(later.headers["webhook-timestamp"]) - int(earlier.headers["webhook-timestamp"]) in range(35, 40)
    assert earlier.headers["webhook-signature"] != later.headers["webhook-signature"]
    assert [r.version for r in by_step["order"]] == [2, 1]
    assert len({r.json["invoice"]["id"] for r in by_step["order"]}) == 1
    assert by_step["unknown-type"][0].type == by_step["unknown-type"][0].json["event"]["type"] == "invoice.teleported"
    assert {"news"} < set(by_step["unknown-members"][0].json)
    assert LARGE_BYTES <= len(by_step["large"][0].body) <= 1.2 * LARGE_BYTES
    assert not by_step["text"][0].body.isascii()
    assert list(by_step["member-names"][0].json["invoice"]["metadata"])[:2] == ["2", "10"]
    assert len(by_step["rotation"][0].headers["webhook-signature"].split(" ")) == 2
    assert by_step["bad-signature"][0].headers["x-signature"] == by_step["bad-signature"][0].headers["signature"]
    assert not {"x-signature", "signature", "webhook-signature"} & set(by_step["no-signature"][0].headers)
    assert plain(by_step["old"][0]), "only its time is wrong"
    ids = [r.event_id for name, requests in by_step.items() for r in requests if name not in DUPLICATES]
    assert len(ids) == len(set(ids))


# --- Each fault is told as what it is ---


async def test_a_receiver_that_takes_everything_fails_exactly_the_forgeries(tmp_path: Path) -> None:
    ended, steps, _ = await torture(tmp_path, lambda _: web.Response(status=200))
    assert ended.status == 1
    assert those(steps, "fail") == FORGERIES
    assert those(steps, "warn") == ["old"]
    assert "401" in steps["bad-signature"]["remark"]
    assert "none is verified" in steps["which-signature"]["remark"]


@pytest.mark.parametrize(("dialect", "secret"), [("recaudo", OWN_SECRET), ("treli", TRELI_SECRET)])
async def test_where_the_signature_says_the_time_who_takes_everything_fails_the_old_one_too(
    tmp_path: Path, dialect: str, secret: str
) -> None:
    _, steps, _ = await torture(tmp_path, lambda _: web.Response(status=200), "--dialect", dialect, secret=secret)
    assert those(steps, "fail") == [*FORGERIES, "old"]


async def test_a_standard_receiver_that_does_not_look_at_the_time_fails(tmp_path: Path) -> None:
    def timeless(received: Received) -> bool:
        signed = b".".join((received.event_id.encode(), received.headers["webhook-timestamp"].encode(), received.body))
        mine = "v1," + base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
        return mine in received.headers.get("webhook-signature", "").split(" ")

    _, steps, _ = await torture(tmp_path, careful(timeless))
    assert those(steps, "fail") == ["old"]
    assert "5 minutes" in steps["old"]["remark"]


async def test_a_receiver_that_fails_on_duplicates_is_told(tmp_path: Path) -> None:
    seen: set[str] = set()

    def answer(received: Received) -> web.Response:
        if not standard(received):
            return web.Response(status=401)
        known = received.event_id in seen
        seen.add(received.event_id)
        return web.Response(status=500 if known else 204)

    _, steps, _ = await torture(tmp_path, answer)
    assert those(steps, "fail") == DUPLICATES
    for name in DUPLICATES:
        assert steps[name]["remark"].startswith("HTTP 500. Duplicates are normal.")


async def test_a_receiver_that_redirects_is_told_and_nothing_more_is_sent(tmp_path: Path) -> None:
    _, steps, received = await torture(tmp_path, lambda _: web.Response(status=307, headers={"Location": "/elsewhere"}))
    assert len(received) == 1
    assert those(steps, "fail") == ["good"]
    assert "redirects are not followed (to /elsewhere)" in steps["good"]["remark"]
    assert those(steps, "skipped") == NAMES[1:]


async def test_a_redirect_to_a_login_page_is_no_refusal(tmp_path: Path) -> None:
    def answer(received: Received) -> web.Response:
        return web.Response(status=204) if plain(received) else web.Response(status=302, headers={"Location": "/login"})

    _, steps, _ = await torture(tmp_path, answer)
    assert those(steps, "fail") == ["which-signature", *FORGERIES]


async def test_a_receiver_that_is_slow_is_warned(tmp_path: Path) -> None:
    async def answer(received: Received) -> web.Response:
        if len(received.body) >= LARGE_BYTES:
            await asyncio.sleep(3.2)
        return web.Response(status=204 if standard(received) else 401)

    ended, steps, _ = await torture(tmp_path, answer)
    assert ended.status == 0
    assert those(steps, "warn") == ["large"]
    assert steps["large"]["answers"][0]["latency_ms"] > 3000
    assert "store the event" in steps["large"]["remark"]


def test_an_answer_that_comes_too_late_is_a_failure() -> None:
    late = Try(at=SystemClock().now(), status=None, error="no answer within 10 s", latency_ms=10_004, answer="")
    for step in SERIES:
        result = judge(step, [late] * 2, reads_standard=True)
        assert result.verdict is Verdict.FAIL
        assert result.remark == "No answer within 10 s. Store the event, answer 2xx, and do the work afterwards."


def test_a_slow_answer_is_a_warning_and_never_hides_a_failure() -> None:
    slow = Try(at=SystemClock().now(), status=204, error=None, latency_ms=3_001, answer="")
    for step in SERIES:
        for latency_ms in (3_000, 3_001):
            result = judge(step, [msgspec.structs.replace(slow, latency_ms=latency_ms)] * 2, reads_standard=True)
            if step.expected is Expected.REFUSED:
                assert result.verdict is Verdict.FAIL
            else:
                assert result.verdict is (Verdict.WARN if latency_ms > 3_000 else Verdict.PASS)


async def test_a_receiver_that_breaks_on_forgeries_is_warned(tmp_path: Path) -> None:
    def answer(received: Received) -> web.Response:
        return web.Response(status=204 if plain(received) else 500)

    ended, steps, _ = await torture(tmp_path, answer)
    assert ended.status == 0
    assert those(steps, "warn") == [*FORGERIES, "old"]
    assert "Answer 401" in steps["no-signature"]["remark"]


async def test_a_receiver_that_signs_what_it_parsed_fails_on_texts(tmp_path: Path) -> None:
    _, steps, _ = await torture(tmp_path, careful(reserialised))
    assert those(steps, "fail") == ["text", "member-names"]
    assert "raw bytes" in steps["text"]["remark"]


async def test_a_receiver_that_takes_only_small_bodies_and_known_types_is_told(tmp_path: Path) -> None:
    def answer(received: Received) -> web.Response:
        if not plain(received):
            return web.Response(status=401)
        if len(received.body) > 65536:
            return web.Response(status=413)
        return web.Response(status=204 if received.type == "invoice.paid" else 422)

    _, steps, _ = await torture(tmp_path, answer)
    assert those(steps, "fail") == ["order", "unknown-type", "large"]
    assert steps["large"]["remark"].startswith("HTTP 413. Raise the limit")


async def test_a_receiver_that_knows_one_signature_only_fails_during_a_rotation(tmp_path: Path) -> None:
    def first_only(received: Received) -> bool:
        values = received.headers.get("webhook-signature", "").split(" ")
        received.headers["webhook-signature"] = values[0]
        return standard(received)

    _, steps, _ = await torture(tmp_path, careful(first_only))
    assert those(steps, "fail") == ["rotation"]


async def test_nobody_listening_is_told_plainly(tmp_path: Path) -> None:
    ended = await recaudo(
        "webhooks", "torture", "http://127.0.0.1:1/hooks", "--yes", environment=environment(tmp_path, None)
    )
    assert ended.status == 1
    assert "No connection: " in ended.out
    assert "Let your receiver run at this address" in ended.out


# --- The command ---


async def test_without_a_secret_one_is_made_shown_and_waited_for(tmp_path: Path) -> None:
    env = environment(tmp_path, None)
    async with receiving() as receiver:
        waits = await recaudo("webhooks", "torture", receiver.url, environment=env)
        assert (waits.status, receiver.received) == (1, [])
        assert "--yes" in waits.err.splitlines()[-1]
        goes_on = await recaudo("webhooks", "torture", receiver.url, "--yes", environment=env)
        (secret,) = [line.split()[1] for line in goes_on.err.splitlines() if line.startswith("Secret")]
        (token,) = [line.split()[1] for line in goes_on.err.splitlines() if line.startswith("Token")]
        first = receiver.received[0]
        assert first.headers["x-signature"] == hmac.new(secret.encode(), first.body, hashlib.sha256).hexdigest()
        assert first.headers["x-webhook-token"] == token


async def test_people_get_a_table_and_what_to_look_at(tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.answer = careful(plain)
        ended = await recaudo(
            "webhooks", "torture", receiver.url, "--secret", SECRET, environment=environment(tmp_path, None)
        )
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines if line.startswith(("pass", "warn"))] == NAMES
    assert f"{len(NAMES) - 1} pass, 1 warn" in lines
    repeated = [line.strip() for line in lines if line.startswith("  evt_")]
    assert repeated == list(dict.fromkeys(r.event_id for r in receiver.received[1:10] if r.version == 2))[:3]


def test_every_step_is_documented_and_the_reverse() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "receive-webhooks.md"
    section = page.read_text(encoding="utf-8").partition("## Torture it")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == NAMES


async def test_what_makes_no_sense_is_one_sentence(tmp_path: Path) -> None:
    for arguments, part in (
        (("nonsense",), "URL is 'nonsense'"),
        (("http://127.0.0.1:1/", "--secret", "with space"), "--secret"),
        (("http://127.0.0.1:1/", "--dialect", "recaudo", "--secret", SECRET), "whsec_"),
    ):
        ended = await recaudo("webhooks", "torture", *arguments, environment=environment(tmp_path, None))
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith("recaudo: ")
        assert part in ended.err
