"""What happens next: the things that clients, payers, gateways and the worker do, and how often each."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from recaudo.simulation import collecting, giving, notes, payers, revising, uploading
from recaudo.simulation.asking import MINOR, core_id, link_of, request, some, treli_id, with_twins
from recaudo.simulation.city import Account, Altered, City, Known, KnownCollection, Reader, as_json, nothing_to_read
from recaudo.simulation.gateway import SIGNATURE
from recaudo.simulation.machine import PUBLIC_URL, Answer, Work
from recaudo.simulation.model import Invoice
from recaudo.simulation.vendor import Notice

JUMPS_S = ((0, 40), (2, 20), (7, 10), (65, 10), (700, 8), (4000, 6), (30_000, 3), (100_000, 2), (300_000, 1))

Step = Callable[[City], "list[Work]"]


def draw(city: City) -> list[Work]:
    """The next thing that happens, or two or three that happen at once."""
    works: list[Work] = []
    for _ in range(city.chance.choices((1, 2, 3), (5, 3, 2))[0]):
        step = city.chance.choices([step for step, _ in STEPS], [weight for _, weight in STEPS])[0]
        works += step(city)
    return works


def jump(city: City) -> None:
    """Let time pass: mostly none, now and then days. Test accounts move their own clocks besides."""
    seconds = city.chance.choices([s for s, _ in JUMPS_S], [w for _, w in JUMPS_S])[0]
    if seconds >= 60:
        city.story.fault("clock jump", "process", f"the clock jumps by {seconds} s")
    city.machine.clock.jump(timedelta(seconds=seconds))


def retry(city: City) -> list[Work]:
    """Send again what was never answered."""
    if not city.unanswered:
        return []
    waiting = city.chance.choice(city.unanswered)
    city.unanswered.remove(waiting)
    return [city.errand(*waiting)]


def deliver_notices(city: City) -> list[Work]:
    """The gateways' notices that set out by now, each a request of its own."""
    works: list[Work] = []
    for vendor in city.vendors:
        works += [_notice(city, vendor.name, notice) for notice in vendor.take_due(city.machine.clock.time)]
    return works


def work(city: City) -> list[Work]:
    """The worker looks what is due."""
    return [city.machine.perform_due_work]


def _create_onepay(city: City) -> list[Work]:
    account = city.chance.choice(city.accounts)
    label, pesos = f"F{city.number()}", city.chance.randrange(50, 400) * 1000
    body: dict[str, Any] = {
        "reference": "1060500333",
        "provider": "biller",
        "provider_id": label,
        "amount": pesos,
        "name": f"Internet {label}",
        "phone": "+573167591030",
    }
    if city.chance.random() < 0.6:
        body["partial_payment_config"] = {"min_amount": 10_000, "max_payment_methods": city.chance.randint(2, 20)}
        if city.chance.random() < 0.3:
            body["partial_payment_config"]["timeout_hours"] = city.chance.choice((1, 20))

    def read(answer: Answer) -> None:
        made = answer.json
        if label in city.paper.invoices:
            return  # its twin was answered before
        city.paper.add(Invoice(label, account.name, pesos * MINOR, id=treli_id(made["id"])))
        link = link_of(made["payment"])
        known = Known(label, account, "onepay", made["id"], [link], pesos * MINOR, altered=Altered.AMOUNT)
        city.known.append(known)
        city.collections.append(KnownCollection(known, treli_id(made["payment"]["id"])))

    sent = request(city, account, ("POST", "/v1/invoices"), body, label=label, what="creates", must=True)
    return with_twins(city, sent, Reader(read))


def _create_request(city: City) -> list[Work]:
    account = city.chance.choice(city.accounts)
    label, pesos = f"R{city.number()}", city.chance.randrange(50, 400) * 1000
    body: dict[str, Any] = {"title": f"Donación {label}", "amount": pesos, "external_id": label}
    if city.chance.random() < 0.3:
        soon = city.machine.clock.time + account_shift(city, account) + timedelta(hours=city.chance.choice((1, 30)))
        body["expiration_date"] = soon.isoformat()

    def read(answer: Answer) -> None:
        made = answer.json
        city.paper.add(Invoice(label, account.name, pesos * MINOR, is_request=True))
        city.known.append(Known(label, account, "request", made["id"], [link_of(made)], pesos * MINOR))

    # One that is sent again after days may be too late for its expiration.
    must = "expiration_date" not in body
    sent = request(city, account, ("POST", "/v1/payments"), body, label=label, what="asks", must=must)
    return with_twins(city, sent, Reader(read))


def _change(city: City) -> list[Work]:
    """Change an amount; that of an invoice of Treli's dialect, too."""
    known = some(city, "onepay", "treli", altered=Altered.AMOUNT)
    if known is None:
        return []
    pesos = city.chance.choice((known.amount // MINOR, city.chance.randrange(30, 400) * 1000))

    def read(answer: Answer) -> None:
        made = answer.json
        paper = city.paper.invoices[known.label]
        paper.change_amount(round(made["amount"] * MINOR), made["updated_at"])
        city.story.counts["amounts changed in the other dialect"] += known.dialect == "treli"
        if made["payment"] is not None:
            asked = KnownCollection(known, treli_id(made["payment"]["id"]))
            if asked not in city.collections:
                city.collections.append(asked)
                paper.requests += 1
            if link_of(made["payment"]) not in known.links:
                known.links.append(link_of(made["payment"]))

    call, body = ("PUT", f"/v1/invoices/{core_id(known.id)}"), {"amount": pesos}
    sent = request(city, known.account, call, body, label=known.label, what=f"changes to {pesos}")
    return [city.errand(sent, Reader(read))]


def _withdraw(city: City) -> list[Work]:
    known = some(city, "onepay", "treli")
    if known is None:
        return []
    # How much the rest is, the model knows of those whose amount is set.
    elsewhere = known.altered is Altered.AMOUNT and city.chance.random() < 0.5
    reason = "PAID_FROM_PROVIDER" if elsewhere else "DELETE_FROM_PROVIDER"

    def read(_: Answer) -> None:
        it = city.paper.invoices[known.label]
        it.is_settled_elsewhere, it.is_withdrawn = elsewhere, not elsewhere

    call, what = ("DELETE", f"/v1/invoices/{core_id(known.id)}"), f"deletes ({reason})"
    sent = request(city, known.account, call, {"reason": reason}, label=known.label, what=what)
    return [city.errand(sent, Reader(read))]


def _cancel(city: City) -> list[Work]:
    """Cancel a payment; what it asks for is still owed."""
    known = some(city, "onepay", "request", "open", "treli")
    if known is None or (known.dialect == "treli" and known.altered is not Altered.AMOUNT):
        return []
    payment_id = known.links[-1].rpartition("/")[2]
    sent = request(
        city, known.account, ("DELETE", f"/v1/payments/{payment_id}"), {}, label=known.label, what="cancels the payment"
    )
    return [city.errand(sent, Reader(nothing_to_read))]


def _pay_by_hand(city: City) -> list[Work]:
    known = some(city, "treli", "onepay")
    if known is None:
        return []
    pesos = city.chance.choice((known.amount // MINOR, known.amount // MINOR // 2, 10_000))

    def read(_: Answer) -> None:
        city.paper.register(treli_id(known.id), pesos * MINOR)

    body = {"amount": f"{pesos}.00", "method": "cash"}
    what = f"registers {pesos} in cash"
    sent = request(
        city,
        known.account,
        ("POST", f"/v1/invoices/{treli_id(known.id)}/pay"),
        body,
        label=known.label,
        what=what,
        dialect="treli",
    )
    return [city.errand(sent, Reader(read))]


def _void(city: City) -> list[Work]:
    known = some(city, "treli", "onepay")
    if known is None:
        return []

    def read(_: Answer) -> None:
        city.paper.invoices[known.label].is_withdrawn = True

    body = {"reason": "Se facturó dos veces"}
    sent = request(
        city,
        known.account,
        ("POST", f"/v1/invoices/{treli_id(known.id)}/void"),
        body,
        label=known.label,
        what="voids",
        dialect="treli",
    )
    return [city.errand(sent, Reader(read))]


def _look(city: City) -> list[Work]:
    """Read an invoice in either dialect: the newest link is found out, and that it can be read."""
    known = some(city, "onepay", "treli")
    if known is None:
        return []
    dialect = city.chance.choice(("onepay", "treli"))

    def read(answer: Answer) -> None:
        made = answer.json
        if dialect == "treli":
            link = made["checkout_url"].removeprefix(PUBLIC_URL)
        else:
            link = made["payment"] and link_of(made["payment"])
        if link and link not in known.links:
            known.links.append(link)

    async def go() -> None:
        key = known.account.basic if dialect == "treli" else known.account.bearer
        id_ = treli_id(known.id) if dialect == "treli" else core_id(known.id)
        answer = await city.machine.ask("GET", f"/v1/invoices/{id_}", key)
        if answer.is_away:
            return
        if answer.status != 200:
            city.wrong(known.label, f"reading it was answered {answer.status}")
            return
        read(answer)

    return [go]


def _find_receipts(city: City) -> list[Work]:
    """Read an account's receipts, to know what could be given back."""
    account = city.chance.choice(city.accounts)

    async def go() -> None:
        answer = await city.machine.ask("GET", "/recaudo/v1/receipts?limit=20", account.bearer)
        if answer.is_away:
            return
        if answer.status != 200:
            city.wrong("", f"reading receipts was answered {answer.status}")
            return
        by_id = {core_id(it.id): it for it in city.known if it.dialect != "request"}
        for row in answer.json["data"]:
            if row["kind"] == "gateway":
                city.refundable.append((account, row["id"], row["amount_minor"]))
            known = by_id.get(row["invoice_id"]) or by_id.get(row["collection_id"])
            # What an invoice was settled with elsewhere came through no request, and stays.
            if row["kind"] == "outside" and row["collection_id"] is not None and known is not None:
                city.undoable.append((known, row["id"]))
        del city.refundable[:-20], city.undoable[:-20]

    return [go]


def _refund(city: City) -> list[Work]:
    if not city.refundable:
        return []
    account, receipt_id, amount_minor = city.chance.choice(city.refundable)
    part = city.chance.choice((None, amount_minor // 200 * 100))
    body: dict[str, Any] = {"reason": "Cobro duplicado", **({"amount_minor": part} if part else {})}
    sent = request(
        city, account, ("POST", f"/recaudo/v1/receipts/{receipt_id}/refund"), body, label="", what="gives money back"
    )
    return [city.errand(sent, Reader(nothing_to_read))]


def _pay(city: City) -> list[Work]:
    if not city.known:
        return []
    return [payers.visit(city, city.chance.choice(city.known[-12:]))]


def _press_again(city: City) -> list[Work]:
    return [payers.press_again(city)] if city.forms else []


def _come_back(city: City) -> list[Work]:
    return [payers.come_back(city, city.chance.choice(city.known))] if city.known else []


def _repeat(city: City) -> list[Work]:
    return [city.repeat(city.chance.choice(city.sent[-40:]))] if city.sent else []


def _forge(city: City) -> list[Work]:
    """Somebody sends a notice that no gateway signed."""
    account = city.chance.choice(city.accounts)
    name, path = city.chance.choice(sorted(account.notice_paths.items()))
    paid = city.chance.choice(sorted(city.vendor(name).transactions) or ["nothing"])
    body = json.dumps({"notice": f"{paid}/forged", "transaction": paid, "state": "succeeded"}).encode()

    async def go() -> None:
        city.story.fault("notice forged")
        answer = await city.machine.ask("POST", path, {SIGNATURE: "0" * 64}, body)
        if answer.status != 401 and not answer.is_away:
            city.wrong("", f"a forged notice was answered {answer.status}")

    return [go]


def _move_clock(city: City) -> list[Work]:
    """A test account moves its own clock."""
    account = city.chance.choice(city.accounts)
    if not account.is_test:
        return []
    seconds = city.chance.choice((30, 4000, 90_000))

    async def go() -> None:
        city.story.fault("account's clock moved")
        headers = as_json(account.bearer, f"clock-{city.number()}")
        body = json.dumps({"advance_seconds": seconds}).encode()
        answer = await city.machine.ask("PUT", "/recaudo/v1/clock", headers, body)
        if answer.is_away:
            return
        if answer.status != 200:
            city.wrong("", f"moving the clock was answered {answer.status}")
            return
        city.shifts[account.name] = city.shifts.get(account.name, 0) + seconds

    return [go]


def account_shift(city: City, account: Account) -> timedelta:
    """How far an account's clock was moved, as far as its owner knows."""
    return timedelta(seconds=city.shifts.get(account.name, 0))


STEPS: tuple[tuple[Step, int], ...] = (
    (_create_onepay, 8),
    (_create_request, 4),
    (giving.ask, 3),
    (uploading.upload, 8),
    (_change, 8),
    (_withdraw, 3),
    (_cancel, 2),
    (_pay_by_hand, 5),
    (_void, 2),
    (collecting.spread, 5),
    (collecting.take_part, 4),
    (collecting.pay_one, 2),
    (collecting.discount, 4),
    (collecting.remove_discount, 4),
    (collecting.undo, 3),
    (collecting.void_one, 2),
    (revising.ask, 3),
    (revising.change_total, 4),
    (revising.change_items, 3),
    (revising.give_up, 4),
    (notes.issue, 5),
    (notes.void, 4),
    (_look, 3),
    (_pay, 22),
    (giving.give, 4),
    (giving.register, 1),
    (_press_again, 5),
    (_come_back, 2),
    (_find_receipts, 3),
    (_refund, 3),
    (_repeat, 5),
    (_forge, 1),
    (_move_clock, 2),
    (retry, 8),
    (deliver_notices, 12),
    (work, 20),
)


def _notice(city: City, gateway: str, notice: Notice) -> Work:
    vendor = city.vendor(gateway)
    account = next(it for it in city.accounts if it.id == notice.account_id)
    headers = {"Content-Type": "application/json", SIGNATURE: vendor.signature(notice)}

    async def go() -> None:
        vendor.sending(notice, city.machine.clock.time)
        answer = await city.machine.ask("POST", account.notice_paths[gateway], headers, notice.body)
        if answer.status == 200:
            vendor.taken(notice)
        elif not answer.is_away:
            city.wrong(notice.label, f"a notice was answered {answer.status}")

    return go
