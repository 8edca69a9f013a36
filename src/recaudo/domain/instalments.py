"""The plan of an invoice that is paid in instalments: one collection each, all open from the start (Treli spec 9.1).

A plan is never corrected: it adds up to the amount to collect to the last cent, or every fault is told at once with
the facts that a dialect needs for its message.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

INSTALMENTS_MAX = 60
DAYS_MAX = 3650


class Asked(msgspec.Struct, frozen=True):
    """One instalment as the merchant asked for it; days count from the day the invoice is made."""

    amount_minor: int
    days_until_due: int = 0


class Instalment(msgspec.Struct, frozen=True):
    """One instalment of a sound plan; `ordinal` counts from 1, `due_on` is a day of the account's time zone."""

    ordinal: int
    amount_minor: int
    due_on: date


class WrongCount(msgspec.Struct, frozen=True):
    """The number of instalments is outside `1..limit`."""

    count: int
    limit: int = INSTALMENTS_MAX


class OtherCount(msgspec.Struct, frozen=True):
    """The number of instalments is not the number of those listed."""

    count: int
    listed: int


class WrongSum(msgspec.Struct, frozen=True):
    """The instalments do not add up to the amount to collect."""

    sum_minor: int
    expected_minor: int


class AmountNotAboveZero(msgspec.Struct, frozen=True):
    ordinal: int
    amount_minor: int


class WrongDays(msgspec.Struct, frozen=True):
    """The days are outside `0..limit`."""

    ordinal: int
    days_until_due: int
    limit: int = DAYS_MAX


class FallingDays(msgspec.Struct, frozen=True):
    """The instalment would be due before the one it follows."""

    ordinal: int
    days_until_due: int
    before: int


PlanFault = WrongCount | OtherCount | WrongSum | AmountNotAboveZero | WrongDays | FallingDays


class PlanRefusedError(Exception):
    """A plan of instalments that the rules do not allow; `faults` are all of them, in the order of the fields."""

    def __init__(self, faults: tuple[PlanFault, ...]) -> None:
        super().__init__(", ".join(repr(fault) for fault in faults))
        self.faults = faults


def plan_instalments(
    asked: Sequence[Asked], *, count: int, amount_to_collect_minor: int, created_on: date
) -> tuple[Instalment, ...]:
    """The instalments of an invoice made on `created_on`; `count` is the number that the merchant announced.

    Raises PlanRefusedError with every fault of `plan_faults`.
    """
    faults = plan_faults(asked, count=count, amount_to_collect_minor=amount_to_collect_minor)
    if faults:
        raise PlanRefusedError(faults)
    return tuple(
        Instalment(ordinal, one.amount_minor, created_on + timedelta(days=one.days_until_due))
        for ordinal, one in enumerate(asked, start=1)
    )


def plan_faults(asked: Sequence[Asked], *, count: int, amount_to_collect_minor: int) -> tuple[PlanFault, ...]:
    """Everything wrong with a plan: its count, its sum, then each instalment's amount and days."""
    faults = _count_faults(asked, count)
    sum_minor = sum(one.amount_minor for one in asked)
    if sum_minor != amount_to_collect_minor:
        faults.append(WrongSum(sum_minor, amount_to_collect_minor))
    before = 0
    for ordinal, one in enumerate(asked, start=1):
        faults += _faults_of_one(one, ordinal=ordinal, before=before)
        before = one.days_until_due
    return tuple(faults)


def _count_faults(asked: Sequence[Asked], count: int) -> list[PlanFault]:
    faults: list[PlanFault] = []
    if not 1 <= count <= INSTALMENTS_MAX:
        faults.append(WrongCount(count))
    if count != len(asked):
        faults.append(OtherCount(count, len(asked)))
    return faults


def _faults_of_one(one: Asked, *, ordinal: int, before: int) -> list[PlanFault]:
    faults: list[PlanFault] = []
    if one.amount_minor <= 0:
        faults.append(AmountNotAboveZero(ordinal, one.amount_minor))
    if not 0 <= one.days_until_due <= DAYS_MAX:
        faults.append(WrongDays(ordinal, one.days_until_due))
    elif one.days_until_due < before:
        faults.append(FallingDays(ordinal, one.days_until_due, before))
    return faults
