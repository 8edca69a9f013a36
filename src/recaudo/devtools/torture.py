"""`recaudo webhooks torture`: what the life of an endpoint brings, all of it within seconds.

SERIES is what is sent, step by step. A step must be taken (2xx) or refused (anything else); docs/how-to/
receive-webhooks.md tells the reader why.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from recaudo.devtools.invented import INVOICE_NAME, Inventor
from recaudo.devtools.posing import Delivery, Poser
from recaudo.domain.delivering import Try
from recaudo.usecases.ports import Ids, Message
from recaudo.worker.sender import TIMEOUT_S, Sender

SLOW_MS = 3_000
AT_ONCE = 5
RETRIED_AFTER_S = 35
OLD_S = 360
LARGE_BYTES = 100_000

PLAIN = frozenset({"x-signature", "signature"})
STANDARD = frozenset({"webhook-signature"})
TRELI = frozenset({"x-treli-signature"})
SIGNATURES = PLAIN | STANDARD | TRELI


class Expected(StrEnum):
    TAKEN = "taken"
    REFUSED = "refused"
    EITHER = "either"


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Scene(msgspec.Struct, frozen=True):
    """What the deliveries of a step are made with."""

    poser: Poser
    inventor: Inventor

    def paid(self, *, name: str = INVOICE_NAME, metadata: Mapping[str, Any] | None = None) -> Message:
        """The event that a fresh invoice was paid."""
        return self.inventor.paid(self.inventor.invoice(name=name, metadata=metadata or {}))


# Deliveries of one round go out at once; rounds one after the other.
Rounds = Sequence[Sequence[Delivery]]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens to an endpoint, and what to do about it when it goes wrong."""

    name: str
    title: str
    expected: Expected
    advice: str
    make: Callable[[Scene], Rounds]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a step went. `remark` says what was wrong and what to do, or what was found out."""

    step: Step
    verdict: Verdict
    tries: Sequence[Try]
    remark: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How everything went. `repeated` are ids of events that came several times and must have had one effect."""

    results: Sequence[Result]
    repeated: Sequence[str]

    @property
    def failed(self) -> bool:
        return any(it.verdict is Verdict.FAIL for it in self.results)


# --- What is sent ---


def _once(scene: Scene) -> Rounds:
    return [[scene.poser.delivery(scene.paid())]]


def _twice(scene: Scene) -> Rounds:
    delivery = scene.poser.delivery(scene.paid())
    return [[delivery], [delivery]]


def _at_once(scene: Scene) -> Rounds:
    return [[scene.poser.delivery(scene.paid())] * AT_ONCE]


def _retried(scene: Scene) -> Rounds:
    message = scene.paid()
    return [[scene.poser.delivery(message, age_s=RETRIED_AFTER_S)], [scene.poser.delivery(message)]]


def _wrong_order(scene: Scene) -> Rounds:
    invoice = scene.inventor.invoice(metadata={})
    later, earlier = scene.inventor.paid(invoice), scene.inventor.created(invoice)
    return [[scene.poser.delivery(later)], [scene.poser.delivery(earlier)]]


def _unknown_type(scene: Scene) -> Rounds:
    return [[scene.poser.delivery(scene.inventor.of_the_future(scene.paid(), "invoice.teleported"))]]


def _unknown_members(scene: Scene) -> Rounds:
    return [[scene.poser.delivery(scene.inventor.with_more(scene.paid()))]]


def _large(scene: Scene) -> Rounds:
    metadata = {f"note_{number:03}": "lorem ipsum " * 80 for number in range(LARGE_BYTES // 960 + 1)}
    return [[scene.poser.delivery(scene.paid(metadata=metadata))]]


def _other_texts(scene: Scene) -> Rounds:
    name = 'Pensión «Año» 50 € / "señal" \\ <b>&amp;</b> \N{OK HAND SIGN} \N{LINE SEPARATOR}'
    return [[scene.poser.delivery(scene.paid(name=name))]]


def _index_names(scene: Scene) -> Rounds:
    metadata = {"10": "diez", "nota": "línea\nnueva", "2": "dos", "01": "cero uno", "tasa": 1.5, "tiny": 1e-7}
    return [[scene.poser.delivery(scene.paid(metadata=metadata))]]


def _rotation(scene: Scene) -> Rounds:
    newer, _ = scene.poser.dialect.new_secrets()
    return [[scene.poser.delivery(scene.paid(), secrets=(newer, scene.poser.secret))]]


def _one_of_two(scene: Scene) -> Rounds:
    """First with the plain signatures wrong, then with the standard one wrong, to learn which is read."""
    return [
        [_spoilt(scene.poser.delivery(scene.paid()), PLAIN)],
        [_spoilt(scene.poser.delivery(scene.paid()), STANDARD)],
    ]


def _bad_signature(scene: Scene) -> Rounds:
    return [[_spoilt(scene.poser.delivery(scene.paid()), SIGNATURES)]]


def _other_body(scene: Scene) -> Rounds:
    delivery = scene.poser.delivery(scene.paid())
    forged = delivery.body.replace(b"50000", b"90000")
    assert forged != delivery.body, "the invented invoice has an amount"
    return [[msgspec.structs.replace(delivery, body=forged)]]


def _no_signature(scene: Scene) -> Rounds:
    delivery = scene.poser.delivery(scene.paid())
    kept = [(name, value) for name, value in delivery.headers if name not in SIGNATURES]
    return [[msgspec.structs.replace(delivery, headers=kept)]]


def _other_secret(scene: Scene) -> Rounds:
    other, _ = scene.poser.dialect.new_secrets()
    return [[scene.poser.delivery(scene.paid(), secrets=(other,))]]


def _old(scene: Scene) -> Rounds:
    return [[scene.poser.delivery(scene.paid(), age_s=OLD_S)]]


def _spoilt(delivery: Delivery, names: frozenset[str]) -> Delivery:
    """The same with well-formed but wrong signatures in some headers."""
    digest = hmac.digest(b"nobody's secret", delivery.body, hashlib.sha256)
    standard = "v1," + base64.b64encode(digest).decode()

    def wrong(name: str, value: str) -> str:
        if name in TRELI:
            return f"{value.partition(',')[0]},v1={digest.hex()}"
        return standard if name in STANDARD else digest.hex()

    headers = [(name, wrong(name, value) if name in names else value) for name, value in delivery.headers]
    return msgspec.structs.replace(delivery, headers=headers)


_ONCE_ONLY = (
    "Duplicates are normal. Keep the webhook-id of what you have done (in the dialect treli the body's id), unique in "
    "your database; answer 2xx to one that you know, and do nothing."
)
_RAW = "Verify the raw bytes of the body as they came, before anything parses, decodes or re-serialises them."
_FORGED = "Anybody can send this. Compare the signature before anything else, and answer 401 when it is wrong."

SERIES: Sequence[Step] = (
    Step(
        name="good",
        title="An ordinary delivery",
        expected=Expected.TAKEN,
        advice="Put the secret above into your receiver, and answer 2xx to an event about an invoice that you do not "
        "know. Nothing else is sent until this works.",
        make=_once,
    ),
    Step(name="duplicate", title="The same again", expected=Expected.TAKEN, advice=_ONCE_ONLY, make=_twice),
    Step(
        name="at-once",
        title=f"The same {AT_ONCE} times at once",
        expected=Expected.TAKEN,
        advice=f"{_ONCE_ONLY} Let the database decide who is first (INSERT ... ON CONFLICT DO NOTHING), not a look-up.",
        make=_at_once,
    ),
    Step(
        name="retry",
        title="A retry: the same id and body, a later timestamp and signature",
        expected=Expected.TAKEN,
        advice=f"{_ONCE_ONLY} The time and the signature are those of the try, not of the event.",
        make=_retried,
    ),
    Step(
        name="order",
        title="Two events of one invoice in the wrong order",
        expected=Expected.TAKEN,
        advice="Keep the highest Recaudo-Subject-Version of each invoice; answer 2xx to an older one, and do nothing.",
        make=_wrong_order,
    ),
    Step(
        name="unknown-type",
        title="A type of event that does not exist yet",
        expected=Expected.TAKEN,
        advice="Answer 2xx to types that you do not know, and do nothing.",
        make=_unknown_type,
    ),
    Step(
        name="unknown-members",
        title="Members that do not exist yet",
        expected=Expected.TAKEN,
        advice="Ignore members that you do not know: new ones may come with any version.",
        make=_unknown_members,
    ),
    Step(
        name="large",
        title=f"A body of {LARGE_BYTES // 1000} kB",
        expected=Expected.TAKEN,
        advice="Raise the limit of your server's or framework's body parser, to 1 MB for example.",
        make=_large,
    ),
    Step(name="text", title="Text beyond ASCII", expected=Expected.TAKEN, advice=_RAW, make=_other_texts),
    Step(
        name="member-names",
        title='Members named "2" and "10", and fractions',
        expected=Expected.TAKEN,
        advice=_RAW,
        make=_index_names,
    ),
    Step(
        name="rotation",
        title="Two signatures: the secret is being rotated",
        expected=Expected.TAKEN,
        advice="webhook-signature holds several signatures with spaces between them, x-treli-signature several v1: one "
        "that fits is enough.",
        make=_rotation,
    ),
    Step(
        name="which-signature",
        title="Only one of the two kinds of signature is right",
        expected=Expected.EITHER,
        advice="",
        make=_one_of_two,
    ),
    Step(
        name="bad-signature", title="A wrong signature", expected=Expected.REFUSED, advice=_FORGED, make=_bad_signature
    ),
    Step(
        name="other-body",
        title="The signature of another body",
        expected=Expected.REFUSED,
        advice=f"{_FORGED} The signature is made of the body: compute it, do not just look for one.",
        make=_other_body,
    ),
    Step(
        name="no-signature", title="No signature at all", expected=Expected.REFUSED, advice=_FORGED, make=_no_signature
    ),
    Step(
        name="other-secret",
        title="Signed with a secret that is not yours",
        expected=Expected.REFUSED,
        advice=_FORGED,
        make=_other_secret,
    ),
    Step(
        name="old",
        title=f"Signed well, {OLD_S // 60} minutes ago",
        expected=Expected.REFUSED,
        advice="Refuse a webhook-timestamp (in x-treli-signature t) that is more than 5 minutes away, or who listened "
        "once can repeat it.",
        make=_old,
    ),
)


# --- Sending and judging ---


async def torture(poser: Poser, ids: Ids, sender: Sender, tell: Callable[[Step], None]) -> Report:
    """Send the series; `tell` hears of each step before it begins. Without a good delivery the rest is skipped."""
    scene = Scene(poser, Inventor(poser.dialect, ids, poser.clock.now()))
    results: list[Result] = []
    repeated: dict[str, None] = {}
    reads_standard = poser.dialect.name != "onepay"
    for step in SERIES:
        if results and results[0].verdict is Verdict.FAIL:
            results.append(Result(step=step, verdict=Verdict.SKIPPED, tries=(), remark=""))
            continue
        if step.expected is Expected.EITHER and reads_standard:
            continue  # this dialect has one kind of signature
        tell(step)
        rounds = step.make(scene)
        tries = [t for r in rounds for t in await asyncio.gather(*(poser.post(sender, d) for d in r))]
        repeated |= dict.fromkeys(_repeated(rounds))
        if step.expected is Expected.EITHER:
            reads_standard = not tries[1].succeeded
        results.append(judge(step, tries, reads_standard=reads_standard))
    return Report(results=results, repeated=list(repeated))


def judge(step: Step, tries: Sequence[Try], *, reads_standard: bool) -> Result:
    """What to think of the answers to a step. `reads_standard`: the receiver refuses a wrong webhook-signature."""
    verdict, remark = _judge(step, tries, reads_standard=reads_standard)
    slowest_ms = max(it.latency_ms for it in tries)
    if slowest_ms > SLOW_MS and verdict is not Verdict.FAIL:
        verdict = Verdict.WARN
        remark = f"{remark} {_SLOW}".strip()
    return Result(step=step, verdict=verdict, tries=tries, remark=remark)


_SLOW = (
    f"Slower than {SLOW_MS // 1000} s, and after 10 s it counts as failed: store the event, answer 2xx, "
    "and do the work afterwards."
)


def _judge(step: Step, tries: Sequence[Try], *, reads_standard: bool) -> tuple[Verdict, str]:
    for it in tries:
        if it.status is None or 300 <= it.status <= 399:
            # No answer, too late, or an answer that leads elsewhere: a failed try, whatever was sent.
            return Verdict.FAIL, f"{_sentence(it)} {_unanswered(it)}"
    if step.expected is Expected.EITHER:
        return Verdict.PASS, _reading(tries)
    if step.expected is Expected.TAKEN:
        bad = next((it for it in tries if not it.succeeded), None)
        return (Verdict.PASS, "") if bad is None else (Verdict.FAIL, f"{_sentence(bad)} {step.advice}")
    return _judge_refusal(step, tries, reads_standard=reads_standard)


def _judge_refusal(step: Step, tries: Sequence[Try], *, reads_standard: bool) -> tuple[Verdict, str]:
    if any(it.succeeded for it in tries):
        if step.name == "old" and not reads_standard:
            return Verdict.WARN, "It was taken. x-signature says no time: verify webhook-signature to refuse old ones."
        return Verdict.FAIL, f"It was taken. {step.advice}"
    if any(it.status is not None and it.status >= 500 for it in tries):
        return Verdict.WARN, "Refused by an error of the server. Answer 401, so that faults and forgeries differ."
    return Verdict.PASS, ""


def _unanswered(it: Try) -> str:
    if it.status is not None:
        return "Register the address that answers."
    if it.latency_ms >= TIMEOUT_S * 1000:
        return "Store the event, answer 2xx, and do the work afterwards."
    return "Let your receiver run at this address, and answer every request."


def _sentence(it: Try) -> str:
    text = it.error or f"HTTP {it.status}"
    return f"{text[0].upper()}{text[1:]}."


def _reading(tries: Sequence[Try]) -> str:
    match tries[0].succeeded, tries[1].succeeded:
        case True, False:
            return "It verifies webhook-signature."
        case False, True:
            return "It verifies x-signature (or signature)."
        case False, False:
            return "It wants both to be right."
        case _:
            return "One of the two is enough, or none is verified: see below."


def _repeated(rounds: Rounds) -> Sequence[str]:
    ids = [d.event_id for r in rounds for d in r]
    return [it for it in ids if ids.count(it) > 1]
