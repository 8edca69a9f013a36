"""What Treli's clients do with what is asked for: spread sums, take parts, give discounts, undo what was a mistake."""

from typing import Any

from recaudo.simulation import model
from recaudo.simulation.asking import MINOR, in_turn, minor, pesos, request, some, treli_id
from recaudo.simulation.city import Altered, City, Known, KnownCollection, KnownDiscount, Reader, Sent
from recaudo.simulation.machine import Answer, Work

RECENT = 12


def spread(city: City) -> list[Work]:
    """One sum over several invoices of a customer: over those that it names, or over all that are open."""
    first = some(city, "treli")
    if first is None:
        return []
    theirs = [it for it in city.known if it.dialect == "treli" and it.customer == first.customer]
    named = city.chance.sample(theirs[-3:], min(len(theirs[-3:]), city.chance.choice((0, 0, 2, 3))))
    whole = sum(it.amount for it in named or theirs[-3:]) // MINOR
    sum_ = city.chance.choice((30_000, whole // 4, whole // 2, whole))
    body: dict[str, Any] = {"amount": pesos(sum_), "method": "bank_transfer"}
    if named:
        body |= {"invoices": [it.id for it in named], "keep_rest_as_credit": city.chance.random() < 0.7}

    def read(answer: Answer) -> None:
        made = answer.json
        shares = [(share["invoice"], minor(share["amount"])) for share in made["allocations"]]
        rest = minor(made["credited"])
        if sum(amount for _, amount in shares) + rest != sum_ * MINOR:
            city.wrong(first.label, f"{sum_} pesos were spread as {shares} and {rest}")
        # What nobody owes is kept with the invoice that was named last.
        for invoice_id, amount in [*shares, *([(named[-1].id, rest)] if rest else [])]:
            city.paper.register(invoice_id, amount)
        city.story.counts["sums over several invoices"] += len({invoice_id for invoice_id, _ in shares}) > 1

    call = ("POST", f"/v1/customers/{first.customer}/invoice_payments")
    what = f"spreads {sum_} over {', '.join(it.label for it in named) or 'what is open'}"
    return [city.errand(of(city, first, call, body, what), Reader(read))]


def take_part(city: City) -> list[Work]:
    """A part of what a collection asks for; now and then the rest is asked for by another one."""
    it = some_collection(city)
    if it is None:
        return []
    sum_ = city.chance.choice((10_000, it.of.amount // MINOR // 3))
    is_anew = city.chance.random() < 0.6
    body = {"amount": pesos(sum_), "method": "cash", "create_collection_with_balance": is_anew}

    def read(answer: Answer) -> None:
        rest_id = answer.json["balance_collection"]
        city.paper.register(treli_id(it.of.id), sum_ * MINOR)
        if rest_id is not None:
            city.paper.invoices[it.of.label].requests += 1
            city.paper.divide(it.id, minor(answer.json["total"]), rest_id)
            city.collections.append(KnownCollection(it.of, rest_id))
            city.story.counts["rests asked for anew"] += 1

    what = f"takes a part of {sum_}{', and asks anew' if is_anew else ''}"
    call = ("POST", f"/v1/collections/{it.id}/partial_payment")
    # The one keeps what was taken, and whoever changes its sum afterwards must know that.
    return [in_turn(city, of(city, it.of, call, body, what), read)]


def pay_one(city: City) -> list[Work]:
    """Cash for one collection, all of it or a part."""
    it = some_collection(city)
    if it is None:
        return []
    sum_ = city.chance.choice((20_000, it.of.amount // MINOR))

    def read(_: Answer) -> None:
        city.paper.register(treli_id(it.of.id), sum_ * MINOR)

    body = {"amount": pesos(sum_), "method": "cash"}
    call = ("POST", f"/v1/collections/{it.id}/pay")
    return [city.errand(of(city, it.of, call, body, f"registers {sum_} for a collection"), Reader(read))]


def discount(city: City) -> list[Work]:
    """Ask for less through a collection: by a sum, or by a share."""
    it = some_collection(city, Altered.LESS)
    if it is None:
        return []
    code = f"D-{city.number()}"
    off = city.chance.choice(({"amount": pesos(15_000)}, {"percent": "12.5"}, {"percent": "60"}))

    def read(answer: Answer) -> None:
        (made,) = (one for one in answer.json["discounts"] if one["code"] == code)
        city.paper.add_discount(model.Discount(made["id"], it.of.label, minor(made["amount"])))
        city.discounts.append(KnownDiscount(it, made["id"]))
        city.story.counts["discounts"] += 1

    body = {"discounts": [{"code": code, **off}]}
    call = ("POST", f"/v1/collections/{it.id}/discounts")
    return [city.errand(of(city, it.of, call, body, f"gives a discount of {off}"), Reader(read))]


def remove_discount(city: City) -> list[Work]:
    """Ask for the whole again."""
    if not city.discounts:
        return []
    it = city.chance.choice(city.discounts[-RECENT:])

    def read(_: Answer) -> None:
        city.paper.discounts[it.id].is_removed = True
        city.story.counts["discounts removed"] += 1

    call = ("DELETE", f"/v1/collections/{it.on.id}/discounts/{it.id}")
    return [city.errand(of(city, it.on.of, call, {}, "takes a discount away"), Reader(read))]


def undo(city: City) -> list[Work]:
    """A sum was registered by mistake. One that was spread goes back as a whole."""
    if not city.undoable:
        return []
    known, receipt_id = city.chance.choice(city.undoable)

    def read(answer: Answer) -> None:
        for it in answer.json["receipts"]:
            # Of what stands alone clients know the request, and of all else the invoice.
            named = it["collection_id"] if known.dialect in {"open", "alone"} else it["invoice_id"]
            city.paper.register(treli_id(named), it["amount_minor"])
        city.story.counts["sums undone"] += 1

    call, body = ("POST", f"/recaudo/v1/receipts/{receipt_id}/undo"), {"reason": "Era de otra factura"}
    sent = request(city, known.account, call, body, label=known.label, what="undoes a sum", dialect="recaudo")
    return [city.errand(sent, Reader(read))]


def void_one(city: City) -> list[Work]:
    """Withdraw one of the requests of an invoice: nobody owes its sum any more. With the last one goes the invoice."""
    it = some_collection(city, Altered.LESS, Altered.TOTALS)
    if it is None:
        return []

    def read(answer: Answer) -> None:
        off = minor(answer.json["total"])
        city.paper.add_discount(model.Discount(it.id, it.of.label, off, is_voided_request=True))
        city.story.counts["requests of an invoice voided"] += 1

    call = ("POST", f"/v1/collections/{it.id}/void")
    return [city.errand(of(city, it.of, call, {"reason": "Se acordó así"}, "voids a collection"), Reader(read))]


def some_collection(city: City, *altered: Altered) -> KnownCollection | None:
    """One of the newest requests that Treli's clients know, of an invoice that is altered so."""
    known = [it for it in city.collections if it.of.altered in (altered or Altered)]
    return city.chance.choice(known[-RECENT:]) if known else None


def of(city: City, known: Known, call: tuple[str, str], body: dict[str, Any], what: str) -> Sent:
    """A request of a client of Treli about an invoice."""
    return request(city, known.account, call, body, label=known.label, what=what, dialect="treli")
