"""`recaudo events tail`: events as they happen, on the screen and to a program on the developer's machine."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console
from rich.text import Text

from recaudo.devtools.feed import Follower
from recaudo.devtools.posing import DIALECTS, Poser, ToolError, check_url, open_sender
from recaudo.domain import money
from recaudo.domain.delivering import Try
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.references import from_base62
from recaudo.usecases.ports import Clock, Message
from recaudo.worker.sender import Sender

TYPE_CHARS = max(map(len, EVENT_TYPES))

_COLOURS = {
    "paid": "green",
    "succeeded": "green",
    "part_received": "green",
    "overpaid": "yellow",
    "failed": "red",
    "failing": "red",
    "unknown": "yellow",
    "disputed": "red",
    "refunded": "yellow",
    "reopened": "yellow",
    "expired": "yellow",
    "part_expired": "yellow",
    "cancelled": "magenta",
    "withdrawn": "magenta",
}


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `types` may be in the core's words or in those of a dialect."""

    url: str
    key: str | None
    types: Sequence[str]
    from_start: bool
    forward: str | None
    dialect: str | None  # None: the feed's own words; `onepay` when forwarding
    secret: str | None
    token: str | None
    as_json: bool


def run(wanted: Tail, clock: Clock, out: Console, messages: Console) -> None:
    """Follow the feed until Ctrl-C or SIGTERM. Raises ToolError."""
    asyncio.run(_until_told_to_stop(_Tailing(wanted, clock, out, messages)))


async def _until_told_to_stop(tailing: "_Tailing") -> None:
    task = asyncio.create_task(tailing.follow())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Tailing:
    def __init__(self, wanted: Tail, clock: Clock, out: Console, messages: Console) -> None:
        if not wanted.key:
            raise ToolError("Give a secret key of the account with --key, or in RECAUDO_KEY.")
        if not wanted.key.isascii() or not wanted.key.isprintable():
            raise ToolError("--key is no key: keys look like sk_test_... and have letters and digits only.")
        check_url(wanted.url, "--url")
        self._as_json = wanted.as_json
        self._from_start = wanted.from_start
        self._out = out
        self._messages = messages
        self._poser: Poser | None = None
        dialect = wanted.dialect
        if wanted.forward is not None:
            check_url(wanted.forward, "--forward")
            dialect = dialect or "onepay"
            self._poser = Poser(DIALECTS[dialect], wanted.forward, clock, secret=wanted.secret, token=wanted.token)
        self._follower = Follower(
            wanted.url, wanted.key, types=core_types(wanted.types), dialect=dialect, tell=self._tell
        )
        self._url = wanted.url

    async def follow(self) -> None:
        if self._poser is not None:
            introduce(self._poser, self._messages)
        async with self._follower as follower, open_sender() as sender:
            async for event in follower.events(from_start=self._from_start, started=self._started):
                self._show(event, None if self._poser is None else await _forward(self._poser, sender, event))

    def _started(self) -> None:
        where = "the first event" if self._from_start else "now on"
        self._tell(f"Events of {self._url} from {where}. Ctrl-C ends it.")

    def _show(self, event: Mapping[str, Any], answer: Try | None) -> None:
        if self._as_json:
            told = dict(event) if self._poser is None else {**event, "forward": _told(answer)}
            self._out.out(msgspec.json.encode(told).decode(), highlight=False)
            return
        line = describe(event)
        if self._poser is not None:
            line.append("  ").append_text(_outcome(event, answer))
        self._out.print(line, soft_wrap=True)

    def _tell(self, text: str) -> None:
        self._messages.print(Text(text, style="dim"), soft_wrap=True)


def introduce(poser: Poser, messages: Console) -> None:
    """Say once with which secrets requests come."""
    lines = [f"Posing as the dialect {poser.dialect.name} towards {poser.url}", f"Secret  {poser.secret}"]
    if poser.token:
        lines.append(f"Token   {poser.token}")
    for line in lines:
        messages.print(Text(line), soft_wrap=True)


def core_types(types: Sequence[str]) -> Sequence[str]:
    """The feed's words for what was asked for in them or in those of a dialect. Raises ToolError."""
    return list(dict.fromkeys(_core_type(it) for it in types))


def _core_type(type_: str) -> str:
    if type_ in EVENT_TYPES:
        return type_
    for dialect in DIALECTS.values():
        if type_ in dialect.types:
            core = dialect.types[type_]
            if core is None:
                raise ToolError(f"--type {type_}: the dialect {dialect.name} lists it, but no event raises it yet.")
            return core
    raise ToolError(f"--type {type_[:60]!r} is no event type; use one of {', '.join(EVENT_TYPES)}.")


async def _forward(poser: Poser, sender: Sender, event: Mapping[str, Any]) -> Try | None:
    """Tell the developer's program as its endpoint would be told; None when the dialect has no word for it."""
    told = event["message"]
    if told is None:
        return None
    number = from_base62(event["id"].removeprefix("evt_"))
    assert number is not None, "the feed's ids are base 62"
    message = Message(
        event_id=UUID(int=number),
        type=told["type"],
        subject_version=event["subject"]["version"],
        body=told["body"].encode(),
    )
    return await poser.post(sender, poser.delivery(message))


def describe(event: Mapping[str, Any]) -> Text:
    """Time, type, subject, amount and state in one line."""
    type_: str = event["type"]
    colour = _COLOURS.get(type_.partition(".")[2], "cyan")
    subject = event["subject"]
    return Text.assemble(
        (event["at"][:19].replace("T", " ") + "Z", "dim"),
        "  ",
        (type_.ljust(TYPE_CHARS), colour),
        f"  {subject['type']} {subject['id']} v{subject['version']}",
        *_facts(type_, event["data"], colour),
    )


def _facts(type_: str, data: Mapping[str, Any], colour: str) -> Sequence[str | tuple[str, str]]:
    """Amount and state of what the event is about: the invoice, the collection or the attempt."""
    record = data.get(type_.partition(".")[0]) or data.get("invoice")
    if record is None or "state" not in record:
        return ()
    amount, received = record.get("amount_minor"), record.get("received_minor", 0)
    if amount is None:
        text = "open amount"
    else:
        text = money.label(amount, record["currency"])
        if 0 < received != amount:
            text = f"{money.label(received, record['currency'])} of {text}"
    return "  ", (text, "bold"), "  ", (record["state"], colour)


def _outcome(event: Mapping[str, Any], answer: Try | None) -> Text:
    if answer is None:
        return Text("not told in this dialect", style="dim")
    how = str(answer.status) if answer.succeeded else (answer.error or "")
    colour = "green" if answer.succeeded else "red"
    return Text.assemble(("-> ", "dim"), f"{event['message']['type']} ", (how, colour), f" in {answer.latency_ms} ms")


def _told(answer: Try | None) -> Mapping[str, Any] | None:
    if answer is None:
        return None
    return {"status": answer.status, "error": answer.error, "latency_ms": answer.latency_ms}
