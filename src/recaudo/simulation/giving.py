"""Requests with an open amount: whoever pays says how much, and several may pay at once.

The first sum that is booked decides what was asked for. What comes after it is the customer's.
"""

from typing import Any

from recaudo.simulation import payers
from recaudo.simulation.asking import MINOR, link_of, pesos, request, some, treli_id, with_twins
from recaudo.simulation.city import City, Known, Reader
from recaudo.simulation.machine import Answer, Work
from recaudo.simulation.model import Invoice


def ask(city: City) -> list[Work]:
    """A merchant asks for whatever people give."""
    account = city.chance.choice(city.accounts)
    # What payers think of, and each gives some part of.
    label, usual = f"D{city.number()}", city.chance.randrange(50, 400) * 1000
    body: dict[str, Any] = {"title": f"Donación {label}", "external_id": label}

    def read(answer: Answer) -> None:
        made = answer.json
        city.paper.add(Invoice(label, account.name, None, is_request=True, id=treli_id(made["id"])))
        city.known.append(Known(label, account, "open", made["id"], [link_of(made)], usual * MINOR))
        city.story.counts["open amounts"] += 1

    sent = request(city, account, ("POST", "/v1/payments"), body, label=label, what="asks for any amount", must=True)
    return with_twins(city, sent, Reader(read))


def give(city: City) -> list[Work]:
    """Two people open the same link, and each gives a sum of their own."""
    known = some(city, "open")
    return [] if known is None else [payers.visit(city, known), payers.visit(city, known)]


def register(city: City) -> list[Work]:
    """Somebody gave cash. It is registered through the other dialect, whose id of the request is its own."""
    known = some(city, "open")
    if known is None:
        return []
    sum_ = city.chance.choice((known.amount // MINOR // 2, 10_000, 25_000))

    def read(_: Answer) -> None:
        city.paper.register(treli_id(known.id), sum_ * MINOR)

    call = ("POST", f"/v1/collections/{treli_id(known.id)}/pay")
    body, what = {"amount": pesos(sum_), "method": "cash"}, f"registers {sum_} in cash"
    sent = request(city, known.account, call, body, label=known.label, what=what, dialect="treli")
    return [city.errand(sent, Reader(read))]
