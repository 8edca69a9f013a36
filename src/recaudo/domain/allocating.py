"""One sum over many debts: each is filled before the next, and the rest belongs to the customer.

Payments over several invoices or collections (Treli spec 9.4, 11.3) and credit notes (13) spread alike. To keep the
order in which invoices were given, hand in the `oldest_first` debts of one invoice after those of another.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

import msgspec


class Debt(msgspec.Struct, frozen=True):
    """A collection or an invoice that still asks for `balance_minor`, which may be 0; all of one currency."""

    id: UUID
    due_on: date | None
    balance_minor: int


class Share(msgspec.Struct, frozen=True):
    """What one debt gets, always above zero, and what it still asks for afterwards."""

    id: UUID
    amount_minor: int
    left_minor: int


class Allocation(msgspec.Struct, frozen=True):
    """The debts that get something, in the order they were filled, and what none of them took."""

    shares: tuple[Share, ...]
    rest_minor: int

    @property
    def allocated_minor(self) -> int:
        return sum(share.amount_minor for share in self.shares)


def oldest_first(debts: Iterable[Debt]) -> tuple[Debt, ...]:
    """By due day, those without one last; ties keep their order, so hand them in by creation."""
    return tuple(sorted(debts, key=lambda debt: debt.due_on or date.max))


def allocate(amount_minor: int, debts: Sequence[Debt]) -> Allocation:
    """Fill the debts in the order given.

    A rest above zero means that the sum exceeds what is owed: whether it is refused or becomes customer credit is the
    caller's rule.
    """
    assert amount_minor > 0, "money that goes back is a refund"
    assert len({debt.id for debt in debts}) == len(debts), "a debt takes part once"
    shares: list[Share] = []
    rest_minor = amount_minor
    for debt in debts:
        assert debt.balance_minor >= 0, "what was paid too much is customer credit, not a debt"
        share_minor = min(rest_minor, debt.balance_minor)
        if share_minor > 0:
            shares.append(Share(debt.id, share_minor, debt.balance_minor - share_minor))
        rest_minor -= share_minor
    allocation = Allocation(tuple(shares), rest_minor)
    assert allocation.allocated_minor + rest_minor == amount_minor, "nothing is lost and nothing is made"
    return allocation
