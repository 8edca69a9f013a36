"""What Treli's clients ask for without an invoice, ask for otherwise, and give up.

The answer to a change tells the new sum and not the one before it. So whoever wants to know what is owed sends one
change of an invoice at a time, and gives neither discounts nor notes on it.
"""

from typing import Any

from recaudo.simulation.asking import MINOR, in_turn, minor, pesos, request, text_of, with_twins
from recaudo.simulation.bill import Bill
from recaudo.simulation.city import Account, Altered, City, Known, KnownCollection, Reader
from recaudo.simulation.collecting import RECENT, of, some_collection
from recaudo.simulation.machine import PUBLIC_URL, Answer, Work
from recaudo.simulation.model import Invoice
from recaudo.simulation.uploading import plain, taxed

DISCOUNT = 5_000 * MINOR


def ask(city: City) -> list[Work]:
    """Ask for something without an invoice, now and then with a discount. There is no reason to refuse it."""
    account = city.chance.choice(city.accounts)
    label, off = f"C{city.number()}", city.chance.choice((0, 0, DISCOUNT))
    charged, bill = _charged(city, account)
    body: dict[str, Any] = {
        **charged,
        "customer": city.chance.choice(account.customers),
        "description": f"Cobro {label}",
        "meta_data": {"label": label},
    }
    if off:
        body["discounts"] = [{"code": "PRONTO", "amount": text_of(off)}]

    def read(answer: Answer) -> None:
        made, amount = answer.json, bill.total - off
        if minor(made["total"]) != amount:
            city.wrong(label, f"it comes to {made['total']}, and must to {text_of(amount)}")
        if label in city.paper.invoices:
            return  # its twin was answered before
        city.paper.add(Invoice(label, account.name, amount, is_request=True, id=made["id"]))
        city.paper.ask(made["id"], amount)
        link = made["checkout_url"].removeprefix(PUBLIC_URL)
        known = Known(label, account, "alone", made["id"], [link], amount, made["customer"], Altered.TOTALS)
        city.known.append(known)
        city.collections.append(KnownCollection(known, made["id"]))
        city.story.counts["requests without an invoice"] += 1

    what = f"asks for {bill.total}{' less a discount' if off else ''}"
    sent = request(city, account, ("POST", "/v1/collections"), body, label=label, what=what, dialect="treli", must=True)
    return with_twins(city, sent, Reader(read))


def change_total(city: City) -> list[Work]:
    """Ask for another sum: less, more, or what was received already."""
    it = _one_that_changes(city)
    if it is None:
        return []
    asked = city.paper.asked[it.id] // MINOR
    total = city.chance.choice((asked // 2, asked + 20_000, asked * 2, 10_000, 20_000))

    def read(answer: Answer) -> None:
        _revised(city, it, total * MINOR, answer)
        city.story.counts["totals changed"] += 1

    call, what = ("POST", f"/v1/collections/{it.id}/total"), f"asks for {total} in place of {asked}"
    return [in_turn(city, of(city, it.of, call, {"total": pesos(total)}, what), read)]


def change_items(city: City) -> list[Work]:
    """Charge for something else. That of an invoice cannot be, and is refused; a discount stays."""
    it = _one_that_changes(city)
    if it is None:
        return []
    charged, bill = _charged(city, it.of.account)

    def read(answer: Answer) -> None:
        off = sum(minor(one["amount"]) for one in answer.json["discounts"])
        if it.of.dialect != "alone" or off not in {0, DISCOUNT}:
            city.wrong(it.of.label, f"its items were changed, with {off} of discounts")
        _revised(city, it, bill.total - off, answer)
        city.story.counts["items changed"] += 1

    call, what = ("POST", f"/v1/collections/{it.id}/items"), f"charges {bill.total} for other items"
    return [in_turn(city, of(city, it.of, call, charged, what), read)]


def give_up(city: City) -> list[Work]:
    """Nobody expects to be paid any more. What is paid all the same is taken."""
    it = some_collection(city)
    if it is None:
        return []

    def read(_: Answer) -> None:
        city.paper.invoices[it.of.label].given_up.add(it.id)
        city.story.counts["requests given up"] += 1

    call, body = ("POST", f"/v1/collections/{it.id}/mark_uncollectible"), {"reason": "No responde"}
    return [city.errand(of(city, it.of, call, body, "gives up"), Reader(read))]


def _charged(city: City, account: Account) -> tuple[dict[str, Any], Bill]:
    """Items, and what they come to. Without an invoice nothing is kept back."""
    asked, bill = (plain if city.chance.random() < 0.5 else taxed)(city, account)
    return {"items": asked["items"]}, Bill(bill.lines)


def _one_that_changes(city: City) -> KnownCollection | None:
    """One of the newest of which it is known what it asks for."""
    known = [it for it in city.collections if it.id in city.paper.asked]
    return city.chance.choice(known[-RECENT:]) if known else None


def _revised(city: City, it: KnownCollection, right: int, answer: Answer) -> None:
    told = minor(answer.json["total"])
    if told != right:
        city.wrong(it.of.label, f"it asks for {told} now, and must for {right}")
    city.paper.revise(it.of.label, it.id, told)
    it.of.amount = told
