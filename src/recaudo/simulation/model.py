"""What a merchant would write down on paper: what was agreed to, what arrived, and what must come of it.

This is the other side of every comparison, so it knows nothing of the product: no module of it is imported here, and no
rule of it is repeated but the few that a merchant would name. It is told what was answered to clients, what gateways
collected, and never what the product stored.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Invoice:
    """One invoice, or one request to pay. Amounts are minor units."""

    label: str
    account: str
    amount: int | None  # None: whoever pays first says how much
    is_request: bool = False
    id: str = ""  # as those name it who register what they received elsewhere
    is_withdrawn: bool = False
    is_settled_elsewhere: bool = False  # the rest, whatever it was then, was received elsewhere
    withheld: int = 0  # what the payer keeps back of the bill, beside the amount
    amount_changed: str = ""  # when the amount was agreed to that counts, as the answer told
    amount_highest: int = 0  # of all that were agreed to
    is_revised: bool = False  # a request of it was made to ask for another sum
    raised: int = 0  # by how much its requests were made to ask for more, those that were made to ask for less apart
    requests: int = 1  # through how many it is asked for
    given_up: set[str] = field(default_factory=set[str])  # the requests of it that the merchant gave up

    def __post_init__(self) -> None:
        self.amount_highest = self.amount or 0

    def change_amount(self, amount: int, told_at: str) -> None:
        """A change that was answered with success. Answers may be read in another order than changes were made."""
        self.amount_highest = max(self.amount_highest, amount)
        if told_at > self.amount_changed:
            self.amount, self.amount_changed = amount, told_at


@dataclass
class Note:
    """A credit note: a sum that the merchant took off an invoice."""

    id: str
    label: str
    account: str
    amount: int
    lowered: int  # what of it was owed or received; what discounts had taken off before is taken off once
    is_void: bool = False


@dataclass
class Discount:
    """A sum that an invoice asks for less, until it is removed. A request of several that was voided is one too."""

    id: str
    label: str
    amount: int
    is_removed: bool = False
    is_voided_request: bool = False  # what was received of that very sum became credit


@dataclass
class Taken:
    """What gateways collected for an invoice and still hold, and what they gave back or took back of it."""

    net: int = 0
    returned: int = 0
    sums: set[int] = field(default_factory=set[int])  # of each transaction, as it was collected

    @property
    def has_gone_back(self) -> bool:
        """Whether they ever gave anything back."""
        return self.returned > 0


@dataclass(frozen=True)
class Stored:
    """What the product says of an invoice."""

    state: str
    amount: int | None
    received: int
    credit: int
    outside: int
    withheld: int = 0


@dataclass(frozen=True)
class StoredNote:
    """What the product says of a credit note; `moved` is what it took off what was owed and off what was received."""

    id: str
    label: str
    state: str
    amount: int
    moved: int
    number: str | None


@dataclass
class Paper:
    """Everything that was written down."""

    invoices: dict[str, Invoice] = field(default_factory=dict[str, Invoice])
    notes: dict[str, Note] = field(default_factory=dict[str, Note])
    discounts: dict[str, Discount] = field(default_factory=dict[str, Discount])
    elsewhere: dict[str, list[int]] = field(default_factory=dict[str, list[int]])  # registered sums, by invoice
    asked: dict[str, int] = field(default_factory=dict[str, int])  # by each request of which the sum may be changed

    def add(self, invoice: Invoice) -> None:
        """An invoice whose making was answered with success; hearing it twice changes nothing."""
        self.invoices.setdefault(invoice.label, invoice)

    def add_note(self, note: Note) -> None:
        """A note whose making was answered with success; hearing it twice changes nothing."""
        self.notes.setdefault(note.id, note)

    def add_discount(self, discount: Discount) -> None:
        """A discount that was answered with success; hearing it twice changes nothing."""
        self.discounts.setdefault(discount.id, discount)

    def register(self, invoice_id: str, amount: int) -> None:
        """The merchant was told that a sum received elsewhere is registered for an invoice; below zero, undone again.

        The answer that told of the invoice itself may still be on its way.
        """
        self.elsewhere.setdefault(invoice_id, []).append(amount)

    def ask(self, request_id: str, amount: int) -> None:
        """What a request asks for at first; hearing it twice changes nothing."""
        self.asked.setdefault(request_id, amount)

    def revise(self, label: str, request_id: str, amount: int) -> None:
        """A request of an invoice asks for another sum from now on, and so much more or less is owed."""
        more, it = amount - self.asked[request_id], self.invoices[label]
        assert it.amount is not None, "only what has a sum gets another one"
        it.amount += more
        it.raised += max(0, more)
        it.is_revised = True
        self.asked[request_id] = amount

    def divide(self, request_id: str, amount: int, rest_id: str) -> None:
        """A request keeps so much of its sum, and another one asks for the rest."""
        if request_id in self.asked:
            self.ask(rest_id, self.asked[request_id] - amount)
            self.asked[request_id] = amount

    def judge(self, label: str, stored: Stored, taken: Taken) -> list[str]:
        """What is wrong with what the product says of an invoice; empty: nothing."""
        it = self.invoices[label]
        sums = self.elsewhere.get(it.id, [])
        wrong = [*_conserved(stored, taken), *_registered(it, stored, taken, sums), *_kept_back(it, stored)]
        amount = it.amount
        if amount is None:
            amount = stored.amount if stored.amount in {*taken.sums, *sums} else None
        if amount is None:
            return wrong + _undecided(stored)
        off, back = self._taken_off(label)
        more = _not_told(it, stored, amount - off, taken.net + taken.returned + sum(one for one in sums if one > 0))
        owed, back = amount - off + more, back + more
        # With its last request an invoice is withdrawn as a whole, and keeps the amount that this one asked for.
        last = set[int]() if owed else self._voided(label)
        if stored.amount not in {owed, *last}:
            wrong.append(f"its amount is {stored.amount}, agreed were {amount}, of which {off} were taken off")
        arrived = taken.net + stored.outside
        if it.is_withdrawn or last:
            return wrong + _differences(stored, state="void", received=0, credit=arrived)
        # What was credit once stays credit when the invoice has room for it again. So a sum that went back, or a note
        # that was voided, may leave at most as much room as it made.
        room = taken.returned + back + it.raised - sum(amount for amount in sums if amount < 0)
        most = min(arrived, owed)
        if not most - room <= stored.received <= most:
            wrong.append(f"it received {stored.received}, and must have received {max(0, most - room)} to {most}")
        right = {"paid"} if stored.received == owed else _unpaid(it, room)
        if taken.has_gone_back:
            right |= {"paid"}
        return wrong + _state(stored, right if owed else {"void"})

    def _taken_off(self, label: str) -> tuple[int, int]:
        """What notes and discounts take off an invoice, and how much stays credit though there may be room for it."""
        notes = [it for it in self.notes.values() if it.label == label]
        discounts = [it for it in self.discounts.values() if it.label == label]
        off = [it.lowered for it in notes if not it.is_void] + [it.amount for it in discounts if not it.is_removed]
        room = [it.lowered for it in notes if it.is_void]
        room += [it.amount for it in discounts if it.is_removed or it.is_voided_request]
        return sum(off), sum(room)

    def _voided(self, label: str) -> set[int]:
        """What the requests of an invoice asked for that were voided one by one."""
        return {it.amount for it in self.discounts.values() if it.label == label and it.is_voided_request}

    def judge_notes(self, account: str, stored: Sequence[StoredNote]) -> list[tuple[str, str]]:
        """What is wrong with the credit notes of an account, each with the invoice that it is about."""
        written = {id_: note for id_, note in self.notes.items() if note.account == account}
        there = {it.id for it in stored}
        wrong = [
            (it.label, f"note {id_} was answered, and is not there") for id_, it in written.items() if id_ not in there
        ]
        for it in stored:
            note = written.get(it.id)
            if note is None:
                wrong.append((it.label, f"nobody made note {it.id}"))
                continue
            # A note is over the bill, of which a part may have been kept back or taken off already.
            less = any(discount.label == note.label for discount in self.discounts.values())
            invoice = self.invoices.get(note.label)
            less = less or (invoice is not None and invoice.withheld > 0)
            texts = _of_note(note, it, less=less)
            wrong += [(note.label, f"note {it.id}: {text}") for text in texts]
        numbers = Counter(it.number for it in stored if it.number is not None and it.state == "issued")
        return wrong + [("", f"{n} issued notes have the number {number}") for number, n in numbers.items() if n > 1]


def _conserved(stored: Stored, taken: Taken) -> list[str]:
    """Money in is money applied, or the customer's."""
    wrong: list[str] = []
    arrived = taken.net + stored.outside
    if stored.received + stored.credit != arrived:
        wrong.append(f"{arrived} arrived, and {stored.received} received with {stored.credit} credit is not that")
    if min(stored.received, stored.credit, stored.outside) < 0:
        wrong.append(f"a sum is below zero: {stored}")
    if stored.received > (stored.amount or 0):
        wrong.append(f"it received {stored.received}, more than its amount of {stored.amount}")
    return wrong


def _registered(it: Invoice, stored: Stored, taken: Taken, sums: Sequence[int]) -> list[str]:
    """What was received elsewhere is what the merchant said, and the rest if the merchant said so."""
    by_hand = sum(sums)
    if not it.is_settled_elsewhere:
        if stored.outside != by_hand:
            return [f"{stored.outside} received elsewhere are booked, and the merchant registered {by_hand}"]
        return []
    amount = it.amount or 0
    # What went back, or was undone, after the rest was said to be received is owed again.
    went_back = taken.has_gone_back or any(one < 0 for one in sums)
    low = by_hand if went_back else max(by_hand, amount - taken.net)
    high = max(amount, it.amount_highest, by_hand)
    if not low <= stored.outside <= high:
        return [f"{stored.outside} received elsewhere are booked, and it must be {low} to {high}"]
    return []


def _kept_back(it: Invoice, stored: Stored) -> list[str]:
    """What the payer keeps back is booked apart, and nothing of a bill that is no longer owed."""
    right = 0 if stored.state == "void" else it.withheld
    return [] if stored.withheld == right else [f"{stored.withheld} are booked as withheld, and must be {right}"]


def _undecided(stored: Stored) -> list[str]:
    """Nothing arrived that could say how much it was, or what arrived went back before anybody heard of it."""
    if stored.amount is not None:
        return [f"its amount is {stored.amount}, which nobody gave"]
    return _differences(stored, state="open", received=0, credit=0)


def _not_told(it: Invoice, stored: Stored, owed: int, paid: int) -> int:
    """How much more is owed than answers told, if so much can be.

    What is paid through one of several requests beyond its sum lowers the others, and no client is told. One that was
    made to ask for another sum then may have asked for less before than its client knew.
    """
    if not it.is_revised or it.requests == 1:
        return 0
    more = (stored.amount or 0) - owed
    return more if 0 < more <= paid else 0


def _unpaid(it: Invoice, room: int) -> set[str]:
    """What it can be that is owed: open, or given up when nothing is asked for any more."""
    if not it.given_up:
        return {"open"}
    # What was asked for by one request is not asked for once that is given up, unless something was undone.
    return {"uncollectible"} if it.requests == 1 and not room else {"open", "uncollectible"}


def _state(stored: Stored, right: set[str]) -> list[str]:
    """Paid is what received its amount, and a paid invoice stays paid when money goes back."""
    return [] if stored.state in right else [f"its state is {stored.state}, and must be {' or '.join(sorted(right))}"]


def _of_note(note: Note, stored: StoredNote, *, less: bool) -> list[str]:
    wrong: list[str] = []
    state = "voided" if note.is_void else "issued"
    if (stored.label, stored.state, stored.amount) != (note.label, state, note.amount):
        wrong.append(f"it is {stored.state} over {stored.amount} on {stored.label}, and must be {state}, {note.amount}")
    if stored.moved != note.lowered or not 0 < note.lowered <= note.amount:
        wrong.append(f"it took {stored.moved} off what was owed and received, answered were {note.lowered}")
    if note.lowered != note.amount and not less:
        wrong.append(f"it took {note.lowered} off and not {note.amount}, though nothing was taken off before")
    return wrong


def _differences(stored: Stored, *, state: str, received: int, credit: int) -> list[str]:
    wrong: list[str] = []
    if stored.state != state:
        wrong.append(f"its state is {stored.state}, and must be {state}")
    if stored.received != received:
        wrong.append(f"it received {stored.received}, and must have received {received}")
    if stored.credit != credit:
        wrong.append(f"{stored.credit} became credit, and must be {credit}")
    return wrong
