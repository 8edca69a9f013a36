"""What a merchant would write down on paper: what was agreed to, what arrived, and what must come of it.

This is the other side of every comparison, so it knows nothing of the product: no module of it is imported here, and no
rule of it is repeated but the few that a merchant would name. It is told what was answered to clients, what gateways
collected, and never what the product stored.
"""

from dataclasses import dataclass, field


@dataclass
class Invoice:
    """One invoice, or one request to pay. Amounts are minor units."""

    label: str
    account: str
    amount: int
    is_request: bool = False
    by_hand: int = 0  # registered by the merchant as received elsewhere
    is_withdrawn: bool = False
    is_settled_elsewhere: bool = False  # the rest, whatever it was then, was received elsewhere
    amount_changed: str = ""  # when the amount was agreed to that counts, as the answer told

    def change_amount(self, amount: int, told_at: str) -> None:
        """A change that was answered with success. Answers may be read in another order than changes were made."""
        if told_at > self.amount_changed:
            self.amount, self.amount_changed = amount, told_at


@dataclass
class Taken:
    """What gateways collected for an invoice and did not give back, and whether they ever gave anything back."""

    net: int = 0
    has_gone_back: bool = False


@dataclass(frozen=True)
class Stored:
    """What the product says of an invoice."""

    state: str
    amount: int
    received: int
    credit: int
    outside: int


@dataclass
class Paper:
    """Everything that was written down."""

    invoices: dict[str, Invoice] = field(default_factory=dict[str, Invoice])

    def add(self, invoice: Invoice) -> None:
        """An invoice whose making was answered with success; hearing it twice changes nothing."""
        self.invoices.setdefault(invoice.label, invoice)

    def judge(self, label: str, stored: Stored, taken: Taken) -> list[str]:
        """What is wrong with what the product says of an invoice; empty: nothing."""
        it = self.invoices[label]
        wrong = [*_conserved(stored, taken), *_registered(it, stored, taken)]
        if stored.amount != it.amount:
            wrong.append(f"its amount is {stored.amount}, agreed were {it.amount}")
        arrived = taken.net + stored.outside
        if it.is_withdrawn:
            return wrong + _differences(stored, state="void", received=0, credit=arrived)
        if taken.has_gone_back:
            # How much of what went back had paid and how much was credit depends on what came first.
            return wrong + _after_a_return(it, stored)
        received = min(arrived, it.amount)
        state = "paid" if received == it.amount else "open"
        return wrong + _differences(stored, state=state, received=received, credit=arrived - received)


def _conserved(stored: Stored, taken: Taken) -> list[str]:
    """Money in is money applied, or the customer's."""
    wrong: list[str] = []
    arrived = taken.net + stored.outside
    if stored.received + stored.credit != arrived:
        wrong.append(f"{arrived} arrived, and {stored.received} received with {stored.credit} credit is not that")
    if min(stored.received, stored.credit, stored.outside) < 0:
        wrong.append(f"a sum is below zero: {stored}")
    if stored.received > stored.amount:
        wrong.append(f"it received {stored.received}, more than its amount of {stored.amount}")
    return wrong


def _registered(it: Invoice, stored: Stored, taken: Taken) -> list[str]:
    """What was received elsewhere is what the merchant said, and the rest if the merchant said so."""
    if not it.is_settled_elsewhere:
        if stored.outside != it.by_hand:
            return [f"{stored.outside} received elsewhere are booked, and the merchant registered {it.by_hand}"]
        return []
    low = it.by_hand if taken.has_gone_back else max(it.by_hand, it.amount - taken.net)
    if not low <= stored.outside <= max(it.amount, it.by_hand):
        return [f"{stored.outside} received elsewhere are booked, and it must be {low} to {it.amount}"]
    return []


def _after_a_return(it: Invoice, stored: Stored) -> list[str]:
    """A paid invoice stays paid when money goes back; an open one that has its amount is none."""
    if stored.state not in {"open", "paid"}:
        return [f"its state is {stored.state} after money went back"]
    if stored.state == "open" and stored.received == it.amount:
        return ["it received its amount and is open"]
    return []


def _differences(stored: Stored, *, state: str, received: int, credit: int) -> list[str]:
    wrong: list[str] = []
    if stored.state != state:
        wrong.append(f"its state is {stored.state}, and must be {state}")
    if stored.received != received:
        wrong.append(f"it received {stored.received}, and must have received {received}")
    if stored.credit != credit:
        wrong.append(f"{stored.credit} became credit, and must be {credit}")
    return wrong
