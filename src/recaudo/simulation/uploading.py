"""Uploading invoices through Treli's dialect: plain ones, and ones with taxes and with what the payer keeps back."""

from collections.abc import Sequence
from typing import Any

from recaudo.simulation.asking import MINOR, minor, pesos, request, text_of, with_twins
from recaudo.simulation.bill import Bill, Line
from recaudo.simulation.city import Account, Altered, City, Known, KnownCollection, Reader
from recaudo.simulation.machine import PUBLIC_URL, Answer, Work
from recaudo.simulation.model import Invoice

Asked = tuple[dict[str, Any], Bill]


def upload(city: City) -> list[Work]:
    """Upload an invoice, at once or in instalments. None of them has a reason to be refused."""
    account = city.chance.choice(city.accounts)
    label, parts = f"T{city.number()}", city.chance.choice((1, 1, 2, 3))
    asked, bill = (plain if city.chance.random() < 0.5 else taxed)(city, account)
    body: dict[str, Any] = {
        **asked,
        "invoice_number": label,
        # Most are the first one's, so that one sum may pay several.
        "customer": city.chance.choices(account.customers, (4, 1))[0],
    }
    amounts = _split(city, bill.asked, parts)
    altered = city.chance.choices([*Altered], (5, 3, 3))[0]
    if parts > 1:
        settings = [{"amount": text_of(amount), "days_until_due": 30 * i} for i, amount in enumerate(amounts)]
        body["installments"] = {"number_of_installments": parts, "installments_settings": settings}

    def read(answer: Answer) -> None:
        made = answer.json
        told = tuple(minor(made[name]) for name in ("total", "retentions_total", "amount_to_collect"))
        if told != (bill.total, bill.withheld, bill.asked):
            city.wrong(label, f"it comes to {told}, and must to {(bill.total, bill.withheld, bill.asked)}")
        if label in city.paper.invoices:
            return  # its twin was answered before
        paper = Invoice(
            label, account.name, bill.asked, id=made["id"], withheld=bill.withheld, requests=len(made["collections"])
        )
        city.paper.add(paper)
        link = made["checkout_url"].removeprefix(PUBLIC_URL)
        known = Known(label, account, "treli", made["id"], [link], bill.asked, made["customer"], altered)
        city.known.append(known)
        city.collections += [KnownCollection(known, id_) for id_ in made["collections"]]
        if altered is Altered.TOTALS:
            for id_, amount in zip(made["collections"], amounts, strict=True):
                city.paper.ask(id_, amount)
        city.story.counts["invoices with taxes"] += bill.total > sum(line.subtotal for line in bill.lines)
        city.story.counts["invoices of which something is withheld"] += bill.withheld > 0

    what = f"uploads {bill.total}, of which {bill.withheld} are withheld"
    sent = request(city, account, ("POST", "/v1/invoices"), body, label=label, what=what, dialect="treli", must=True)
    return with_twins(city, sent, Reader(read))


def plain(city: City, _: Account) -> Asked:
    """One line, without tax."""
    whole = city.chance.randrange(50, 400) * 1000
    return {"items": [{"name": "Matrícula", "unit_price": pesos(whole)}]}, Bill((Line(whole * MINOR),))


def taxed(city: City, account: Account) -> Asked:
    """One to three lines of what the merchant has in its register, at prices of the day."""
    chosen = [city.chance.choice(account.prices) for _ in range(city.chance.randint(1, 3))]
    lines = [
        Line(city.chance.randrange(4_000, 12_000) * 10 * MINOR, city.chance.choice((1, 1, 2, 7)), of.tax_percent)
        for of in chosen
    ]
    items = [
        {"price": of.id, "unit_price": text_of(line.price), "quantity": line.quantity}
        for of, line in zip(chosen, lines, strict=True)
    ]
    kept = [it for it in account.retentions if city.chance.random() < 0.5]
    asked = {"items": items, "invoice_retentions": {it.kind: it.id for it in kept}}
    return asked, Bill(tuple(lines), tuple(it.retention for it in kept))


def _split(city: City, whole: int, parts: int) -> Sequence[int]:
    """The whole in so many parts, none of them small."""
    cuts = [whole * i // parts + city.chance.randrange(-500_000, 500_000) for i in range(1, parts)]
    return [high - low for low, high in zip([0, *cuts], [*cuts, whole], strict=True)]
