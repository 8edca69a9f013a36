"""What a fake vendor does with a payment: the knobs of the gateways specification, section 1.12."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from random import Random
from typing import Any


class Outcome(StrEnum):
    """How a payment ends."""

    APPROVED = "approved"
    DECLINED = "declined"
    ERROR = "error"
    PENDING_THEN_APPROVED = "pending_then_approved"
    PENDING_THEN_DECLINED = "pending_then_declined"
    PENDING = "pending"  # for ever, or until a test settles it
    EXPIRED = "expired"  # nobody finished it and the vendor gave up, as a PSE payment of 20 minutes (3.2)


PENDING_FIRST = frozenset({Outcome.PENDING_THEN_APPROVED, Outcome.PENDING_THEN_DECLINED})
ENDS_APPROVED = frozenset({Outcome.APPROVED, Outcome.PENDING_THEN_APPROVED})


# The API's steps, as `Scenario.on` names them. The vendors' pages are no step: they do not fail.
WRITES = frozenset({"create", "void", "refund", "cancel"})
STEPS = WRITES | {"fetch", "find", "other"}


class Tamper(StrEnum):
    """What is wrong with a notice."""

    BYTE = "byte"  # one byte of what the signature covers changed after signing
    KEY = "key"  # signed with the key of somebody else
    HEADER = "header"  # the header of the signature is missing
    SIGNATURE = "signature"  # no signature at all, neither in a header nor in the body
    TIMESTAMP = "timestamp"  # well signed, but long ago
    UNSIGNED_FIELD = "unsigned_field"  # a byte changed that the signature does not cover: it stays valid, and lies


class Reverse(StrEnum):
    """What happens to an approved payment later."""

    REFUNDED = "refunded"  # Wompi: VOIDED
    PARTLY_REFUNDED = "partly_refunded"  # half of it; Wompi knows only whole voids and does the whole
    CHARGED_BACK = "charged_back"
    IN_MEDIATION = "in_mediation"
    DECLINED = "declined"  # the vendor takes its word back


class RefundAnswer(StrEnum):
    """How the vendor answers when the merchant asks for a refund (3.4)."""

    APPROVED = "approved"
    IN_PROCESS = "in_process"  # for ever
    IN_PROCESS_THEN_APPROVED = "in_process_then_approved"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What happens to one payment. Amounts are in minor units (cents), times in seconds of the fake's clock.

    A scenario belongs to a reference. Calls that name none (banks, merchants, preferences without a reference, ...)
    use up the counters of the default scenario.
    """

    # The payment itself
    outcome: Outcome | None = None  # none: the sandbox's data or the payer's choice decides
    after: float | None = None  # until the payment ends; none: the fake's own delay, or 10 s of `pending_then_...`
    retry_by_payer: bool = False  # declined first, then again with the same reference and a new id
    double_approve: bool = False  # two approved transactions with one reference
    late_decline: bool = False  # approved, and then another transaction of the reference is declined (1.13, 4)
    partial: int = 0  # so much less than asked arrives (never less than 1.00)
    over: int = 0  # so much more than asked arrives
    reverse: Reverse | None = None
    reverse_after: float = 60.0
    refund: RefundAnswer = RefundAnswer.APPROVED
    wrong_env: bool = False
    wrong_currency: bool = False
    refuse_payer: bool = False  # the vendor does not like the payer's data and creates nothing
    no_banks: bool = False  # the bank list is empty; read from the default scenario

    # Its notices
    announce_pending: bool = False  # Wompi: also tell of PENDING (Mercado Pago always does)
    duplicate: int = 1  # how many times each notice is sent
    burst: bool = False  # ... and those all at once
    reorder: bool = False  # newest first, once nothing more is to happen
    drop: bool = False
    delay: float = 0.0
    tamper: Tamper | None = None
    lie: bool = False  # a well signed notice says approved at once, whatever becomes of the payment
    unsigned_qr: bool = False  # Mercado Pago: an unsigned QR notice comes as well (3.5)

    # The API: each number is how many calls of the reference go wrong, in the order of these lines
    on: tuple[str, ...] = ()  # which of STEPS; none named: all of them
    http_500: int = 0
    http_429: int = 0
    retry_after: int | None = None  # the header of the two above
    html: int = 0  # status 200 and a page for people
    hang: int = 0
    hang_seconds: float = 30.0  # of the wall clock, for a caller measures its patience by that; then cut off
    timeout_after_commit: int = 0  # done, and then the connection is cut without an answer (writes only)
    http_500_after_commit: int = 0  # done, and then "internal error" (writes only)
    search_lag: float = 0.0  # a search finds the transaction only so long after it was made

    def __post_init__(self) -> None:
        unknown = set(self.on) - STEPS
        if unknown:
            raise ValueError(f"on: {', '.join(sorted(unknown))} is none of {', '.join(sorted(STEPS))}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Scenario":
        """A scenario from what somebody sent to `/_fake/scenario`; raises ValueError with what is wrong."""
        known = {f.name: f for f in fields(cls)}
        unknown = sorted(set(value) - set(known))
        if unknown:
            raise ValueError(f"unknown knob {', '.join(unknown)}; there are {', '.join(known)}")
        return cls(**{name: _read(name, known[name].default, given) for name, given in value.items()})

    def to_json(self) -> dict[str, Any]:
        """The knobs that are not at rest."""
        at_rest = {f.name: f.default for f in fields(self) if f.default is not MISSING}
        return {name: value for name, value in asdict(self).items() if value != at_rest[name]}

    @classmethod
    def random(cls, rng: Random) -> "Scenario":
        """A payment with trouble at any step, for long runs: every fault ends, so that the truth can be found.

        Wrong environments and currencies are left out, because their money is not the invoice's: set them by hand.
        """
        outcome = rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))[0]
        return cls(
            outcome=outcome,
            after=rng.choice([0.0, 0.0, 1.0, 30.0, 600.0, 86_400.0]),
            retry_by_payer=_one_in(rng, 8),
            double_approve=_one_in(rng, 20),
            late_decline=_one_in(rng, 20),
            partial=rng.randrange(1, 50) * 100 if _one_in(rng, 25) else 0,
            over=rng.randrange(1, 50) * 100 if _one_in(rng, 25) else 0,
            reverse=rng.choice(list(Reverse)) if _one_in(rng, 20) else None,
            reverse_after=rng.choice([1.0, 60.0, 90_000.0]),
            refund=rng.choice(list(RefundAnswer)),
            announce_pending=_one_in(rng, 3),
            duplicate=rng.choice([1, 1, 1, 2, 3, 10]),
            burst=_one_in(rng, 2),
            reorder=_one_in(rng, 5),
            drop=_one_in(rng, 6),
            delay=rng.choice([0.0, 0.0, 0.0, 5.0, 120.0, 7_200.0]),
            tamper=rng.choice(list(Tamper)) if _one_in(rng, 10) else None,
            lie=_one_in(rng, 12),
            http_500=rng.choice([0, 0, 0, 0, 1, 2]),
            http_429=rng.choice([0, 0, 0, 0, 1, 2]),
            retry_after=rng.choice([None, 1]),
            html=rng.choice([0, 0, 0, 0, 1]),
            timeout_after_commit=rng.choice([0, 0, 0, 0, 1]),
            http_500_after_commit=rng.choice([0, 0, 0, 0, 0, 1]),
            search_lag=rng.choice([0.0, 0.0, 0.0, 3.0]),
        )


_WEIGHTS = {
    Outcome.APPROVED: 60,
    Outcome.DECLINED: 12,
    Outcome.ERROR: 4,
    Outcome.PENDING_THEN_APPROVED: 12,
    Outcome.PENDING_THEN_DECLINED: 4,
    Outcome.PENDING: 4,
    Outcome.EXPIRED: 4,
}


def _one_in(rng: Random, n: int) -> bool:
    return rng.randrange(n) == 0


_ENUMS: dict[str, type[StrEnum]] = {"outcome": Outcome, "tamper": Tamper, "reverse": Reverse, "refund": RefundAnswer}
_MAY_BE_NONE = ("outcome", "after", "reverse", "tamper", "retry_after")


def _read(name: str, default: object, given: object) -> Any:
    """One knob's value, of the kind that the knob has."""
    if given is None and name in _MAY_BE_NONE:
        return None
    if name in _ENUMS:
        try:
            return _ENUMS[name](given)
        except ValueError:
            raise ValueError(f"{name} is one of {', '.join(_ENUMS[name])}") from None
    if name == "on":
        if not isinstance(given, list) or not all(isinstance(step, str) for step in given):
            raise ValueError("on is a list of steps")
        return tuple(given)
    if isinstance(default, bool):
        if not isinstance(given, bool):
            raise ValueError(f"{name} is true or false")  # noqa: TRY004 - one error for whoever sent it
        return given
    return _number(name, default, given)


def _number(name: str, default: object, given: object) -> float | int:
    whole = isinstance(default, int) or name == "retry_after"
    kinds = int if whole else (int, float)
    if isinstance(given, bool) or not isinstance(given, kinds) or given < 0:
        raise ValueError(f"{name} is a {'whole ' if whole else ''}number, not below zero")
    return given


@dataclass
class Plan:
    """A reference's scenario, and how much of its faults is used up."""

    scenario: Scenario
    used: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, fault: str) -> bool:
        """Whether this fault happens now; if so, it is used up once."""
        if self.used.get(fault, 0) >= getattr(self.scenario, fault):
            return False
        self.used[fault] = self.used.get(fault, 0) + 1
        return True

    def concerns(self, step: str) -> bool:
        """Whether the API's faults are meant for this step."""
        return not self.scenario.on or step in self.scenario.on


@dataclass
class Scenarios:
    """Which scenario a reference gets: its own, else the next of the queue, else the chooser's, else the default.

    A reference gets its scenario when it is first seen, and keeps it.
    """

    default: Scenario = field(default_factory=Scenario)
    queue: list[Scenario] = field(default_factory=list[Scenario])
    chooser: Callable[[str], Scenario] | None = None
    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    _without_reference: Plan | None = None

    def set(self, reference: str | None, scenario: Scenario) -> None:
        """Give a reference its scenario, from now on; none: the default of every reference not seen yet."""
        if reference is None:
            self.default, self._without_reference = scenario, None
        else:
            self.plans[reference] = Plan(scenario)

    def chaos(self, seed: object) -> None:
        """Trouble for everybody. What a reference gets depends on the seed and on itself, not on who comes first."""
        self.chooser = lambda reference: Scenario.random(Random(f"{seed}:{reference}"))

    def of(self, reference: str | None) -> Plan:
        """The plan of a reference."""
        if reference is None:
            self._without_reference = self._without_reference or Plan(self.default)
            return self._without_reference
        if reference not in self.plans:
            self.plans[reference] = Plan(self._next(reference))
        return self.plans[reference]

    def reset(self) -> None:
        """Forget everything that was set."""
        self.default, self.chooser, self._without_reference = Scenario(), None, None
        self.queue.clear()
        self.plans.clear()

    def _next(self, reference: str) -> Scenario:
        if self.queue:
            return self.queue.pop(0)
        return self.chooser(reference) if self.chooser else self.default
