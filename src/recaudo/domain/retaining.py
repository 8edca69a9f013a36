"""What the payer withholds as taxes and never pays to the merchant, and what is then left to collect.

Which retention exists, at what rate and since when is dated data that comes in as an argument; this file knows only
each kind's base (Treli spec 8.3 and 14, Colombia spec 5 and 6).
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from recaudo.domain.pricing import Charges
from recaudo.domain.rounding import Rounding, percent_minor


class RetentionKind(StrEnum):
    RETEFTE = "retefte"  # income tax; base: subtotal
    RETEICA = "reteica"  # municipal tax; base: subtotal
    RETEIVA = "reteiva"  # base: the line taxes


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """One retention as an account defined it. Days are of the account's time zone, first and last one included."""

    id: UUID
    kind: RetentionKind
    percentage: Decimal
    minimum_base_minor: int = 0
    valid_from: date | None = None
    valid_until: date | None = None
    active: bool = True

    def covers(self, day: date) -> bool:
        """Whether its dates allow an invoice made on this day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class RetentionFault(StrEnum):
    OTHER_KIND = "other_kind"
    INACTIVE = "inactive"
    NOT_YET = "not_yet"  # before its first day
    NO_LONGER = "no_longer"  # after its last day


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """What one retention takes from an invoice; `amount_minor` is 0 when it stays below the minimum."""

    retention: Retention
    base_minor: int
    compared_minor: int  # what the minimum was compared with
    amount_minor: int


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice's total, what is withheld from it, and what is left to collect: always above zero."""

    total_minor: int
    withheld: tuple[Withheld, ...]

    @property
    def retentions_minor(self) -> int:
        return sum(one.amount_minor for one in self.withheld)

    @property
    def amount_to_collect_minor(self) -> int:
        return self.total_minor - self.retentions_minor


class NothingToCollectError(Exception):
    """Retentions leave nothing to collect, or the total was zero already; nothing was changed."""

    def __init__(self, *, total_minor: int, retentions_minor: int) -> None:
        super().__init__(f"{total_minor} minor units less retentions of {retentions_minor}")
        self.total_minor = total_minor
        self.retentions_minor = retentions_minor


class AmbiguousRetentionError(Exception):
    """Two definitions of a kind began on the same day, so that none of them is the newest."""

    def __init__(self, kind: RetentionKind, day: date) -> None:
        super().__init__(f"two definitions of {kind.value} rule on {day}")
        self.kind = kind
        self.day = day


def withhold(charges: Charges, retentions: Sequence[Retention], *, rounding: Rounding) -> Net:
    """Take retentions, at most one of each kind, off an invoice's total; each is rounded alone (Treli spec 8.3).

    `rounding` is the account's `retention_rounding`. Raises NothingToCollectError unless something is left.
    """
    kinds = [retention.kind for retention in retentions]
    assert len(set(kinds)) == len(kinds), "an invoice names at most one retention of each kind"
    withheld = tuple(_withheld(charges, retention, rounding=rounding) for retention in retentions)
    net = Net(total_minor=charges.total_minor, withheld=withheld)
    if net.amount_to_collect_minor <= 0:
        raise NothingToCollectError(total_minor=net.total_minor, retentions_minor=net.retentions_minor)
    return net


def retention_fault(retention: Retention, *, kind: RetentionKind, day: date) -> RetentionFault | None:
    """Why an invoice made on `day` may not use this retention in the place of `kind`; None when it may (9.1, 14)."""
    if retention.kind is not kind:
        return RetentionFault.OTHER_KIND
    if not retention.active:
        return RetentionFault.INACTIVE
    if retention.covers(day):
        return None
    too_early = retention.valid_from is not None and day < retention.valid_from
    return RetentionFault.NOT_YET if too_early else RetentionFault.NO_LONGER


def in_force(definitions: Iterable[Retention], *, kind: RetentionKind, day: date) -> Retention | None:
    """The definition that rules on the invoice's day: of those that may be used, the one that began last.

    Raises AmbiguousRetentionError when two of them began on the same day (Colombia spec 5.1).
    """
    usable = [one for one in definitions if retention_fault(one, kind=kind, day=day) is None]
    usable.sort(key=_first_day, reverse=True)
    if len(usable) > 1 and _first_day(usable[0]) == _first_day(usable[1]):
        raise AmbiguousRetentionError(kind, day)
    return usable[0] if usable else None


def _first_day(retention: Retention) -> date:
    return retention.valid_from or date.min


def _withheld(charges: Charges, retention: Retention, *, rounding: Rounding) -> Withheld:
    base_minor, compared_minor = _base(charges, retention.kind)
    amount_minor = 0
    if compared_minor >= retention.minimum_base_minor:
        amount_minor = percent_minor(base_minor, retention.percentage, currency=charges.currency, rounding=rounding)
    return Withheld(
        retention=retention, base_minor=base_minor, compared_minor=compared_minor, amount_minor=amount_minor
    )


def _base(charges: Charges, kind: RetentionKind) -> tuple[int, int]:
    """The base of a kind, and what its minimum is compared with."""
    match kind:
        case RetentionKind.RETEFTE | RetentionKind.RETEICA:
            return charges.subtotal_minor, charges.subtotal_minor
        case RetentionKind.RETEIVA:
            return charges.tax_minor, charges.taxed_subtotal_minor
