"""Credit notes: issued, found, voided, and what invoices show of them (Treli specification, section 13)."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from recaudo.dialects.treli.webhooks import TYPES
from tests.dialects.treli.stage import CREDIT_NOTE, UTC, Stage, refused
from tests.dialects.treli.test_both_dialects import fine, of_onepay, uuid_of
from tests.dialects.treli.test_webhooks import listen
from tests.dialects.treli.wire import LOCAL, NOBODY, PAGE, good, is_id, speaks_treli
from tests.receiver import receiving
from tests.world import Client, World

NOTES = "/v1/credit_notes"


async def shown(stage: Stage, invoice: dict[str, Any]) -> tuple[str, str, str, str]:
    """What an invoice says of its money now."""
    now = await stage.get("invoices", invoice["id"])
    return now["status"], now["total"], now["amount_to_collect"], now["total_paid"]


async def collections(stage: Stage, invoice: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Status, total and balance of every collection of an invoice, by due day, then by creation."""
    rows = good(await stage.client.get(f"/v1/collections?invoice={invoice['id']}"))["data"]
    rows.sort(key=lambda row: (row["due_date"], row["created_date"], row["id"]))
    return [(row["status"], row["total"], row["balance"]) for row in rows]


async def credit_of(stage: Stage, invoice: dict[str, Any]) -> str:
    return (await stage.get("customers", invoice["customer"]))["credit_balance"]


# --- Issuing ---


@pytest.mark.parametrize("mount", ["/v1", "/treli/v1"])
async def test_a_note_at_both_addresses(stage: Stage, mount: str) -> None:
    invoice = await stage.invoice()
    body = {
        "invoice": invoice["id"],
        "amount": "30000",
        "reason": "Se devolvió un libro",
        "credit_note_number": "NC-1",
        "meta_data": {"a": 1},
        "x": 1,
    }
    answer = await stage.client.post(f"{mount}/credit_notes", body)
    made = good(answer)
    assert answer.headers["Recaudo-Ignored-Fields"] == "x"
    assert list(made) == CREDIT_NOTE
    assert is_id("cn", made["id"])
    assert LOCAL.fullmatch(made["created_date"])
    assert made == {
        "id": made["id"],
        "credit_note_number": "NC-1",
        "invoice": invoice["id"],
        "customer": invoice["customer"],
        "amount": "30000.00",
        "currency": "COP",
        "reason": "Se devolvió un libro",
        "status": "issued",
        "applied_to_balance": "30000.00",
        "credited_to_customer": "0.00",
        "created_date": made["created_date"],
        "voided_at_date": None,
        "is_test": True,
        "meta_data": {"a": 1},
    }
    assert good(await stage.client.get(f"{mount}/credit_notes/{made['id']}")) == made
    voided = good(await stage.client.post(f"{mount}/credit_notes/{made['id']}/void", {"reason": "Error"}))
    assert UTC.fullmatch(voided["voided_at_date"])
    assert voided == made | {"status": "voided", "voided_at_date": voided["voided_at_date"]}
    assert good(await stage.client.get(f"{mount}/credit_notes/{made['id']}")) == voided


async def test_a_note_lowers_what_is_owed_oldest_due_first(stage: Stage) -> None:
    """30000, 40000 and 30000 less 45000: nothing is left of the first, 25000 of the second."""
    invoice = await stage.instalments("30000", "40000", "30000")
    note = await stage.credit(invoice["collections"][2], "45000")
    assert note["invoice"] == invoice["id"], "a collection stands for its invoice"
    assert (note["applied_to_balance"], note["credited_to_customer"]) == ("45000.00", "0.00")
    assert await collections(stage, invoice) == [
        ("voided", "30000.00", "30000.00"),
        ("pending", "25000.00", "25000.00"),
        ("pending", "30000.00", "30000.00"),
    ]
    assert await shown(stage, invoice) == ("pending", "100000.00", "55000.00", "0.00")
    now = await stage.get("invoices", invoice["id"])
    assert now["collections"] == invoice["collections"][1:]
    assert (now["subtotal"], now["installments"]) == (invoice["subtotal"], invoice["installments"])
    paid = await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    assert (paid["status"], paid["total_paid"], paid["amount_to_collect"]) == ("paid", "55000.00", "55000.00")


async def test_a_note_closes_what_it_leaves_nothing_of(stage: Stage) -> None:
    """A part of 30000 of 100000 was paid: less 70000, the collection and the invoice are paid."""
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"amount": "30000", "method": "cash"})
    await stage.credit(invoice["id"], "70000")
    assert await collections(stage, invoice) == [("paid", "30000.00", "0.00")]
    assert await shown(stage, invoice) == ("paid", "100000.00", "30000.00", "30000.00")
    assert await credit_of(stage, invoice) == "0.00"


async def test_what_exceeds_what_is_owed_is_the_customer_s(stage: Stage) -> None:
    """Of 100000 paid 30000, less 80000: 70000 were owed, 10000 of the 30000 become credit, 20000 pay the rest."""
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"amount": "30000", "method": "cash"})
    note = await stage.credit(invoice["id"], "80000")
    assert (note["applied_to_balance"], note["credited_to_customer"]) == ("70000.00", "10000.00")
    assert await shown(stage, invoice) == ("paid", "100000.00", "20000.00", "20000.00")
    assert await collections(stage, invoice) == [("paid", "30000.00", "0.00")]
    assert await credit_of(stage, invoice) == "10000.00"
    last = await stage.credit(invoice["id"])
    assert [last[name] for name in ("amount", "applied_to_balance", "credited_to_customer")] == [
        "20000.00",
        "0.00",
        "20000.00",
    ]
    assert await shown(stage, invoice) == ("voided", "100000.00", "0.00", "0.00")
    assert await credit_of(stage, invoice) == "30000.00"


async def test_a_note_over_all_of_it_voids_the_invoice_and_frees_its_number(stage: Stage) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"])
    assert (note["amount"], note["applied_to_balance"]) == ("100000.00", "100000.00")
    now = await stage.get("invoices", invoice["id"])
    assert (now["status"], now["collections"], now["is_paid"]) == ("voided", [], False)
    assert UTC.fullmatch(now["voided_at_date"])
    refused(await stage.client.post(f"/v1/invoices/{invoice['id']}/void"), "invoice_voided")
    refused(await stage.client.post(f"/v1/invoices/{invoice['id']}/pay", {"method": "cash"}), "invoice_voided")
    body = await stage.body(invoice_number=invoice["invoice_number"], customer=invoice["customer"])
    other = good(await stage.client.post("/v1/invoices", body))
    taken = refused(await stage.client.post(f"{NOTES}/{note['id']}/void"), "invoice_number_exists", "invoice_number")
    assert taken["existing_id"] == other["id"]
    await stage.act("invoices", other["id"], "void")
    await stage.act("credit_notes", note["id"], "void")
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "0.00")
    refused(await stage.client.post("/v1/invoices", body), "invoice_number_exists", "invoice_number")


async def test_a_note_on_the_worked_example_of_retentions(stage: Stage) -> None:
    """8.3: 1000000 and 19 % tax, 63160 withheld, 1126840 to collect. The notes may reach the total of 1190000."""
    price = await stage.price(unit_price="1000000")
    retentions = {
        "retefte": await stage.retention("retefte", "2.5"),
        "reteica": await stage.retention("reteica", "0.966"),
        "reteiva": await stage.retention("reteiva", "15"),
    }
    invoice = await stage.invoice(items=[{"price": price}], invoice_retentions=retentions)
    assert (invoice["total"], invoice["amount_to_collect"]) == ("1190000.00", "1126840.00")
    await stage.credit(invoice["id"], "190000")
    assert await shown(stage, invoice) == ("pending", "1190000.00", "936840.00", "0.00")
    refused(
        await stage.client.post(NOTES, {"invoice": invoice["id"], "amount": "1000000.01", "reason": "x"}),
        "credit_note_exceeds_invoice",
    )
    rest = await stage.credit(invoice["id"])
    assert [rest[name] for name in ("amount", "applied_to_balance", "credited_to_customer")] == [
        "1000000.00",
        "936840.00",
        "0.00",
    ], "what is withheld is neither owed nor was it received"
    assert await shown(stage, invoice) == ("voided", "1190000.00", "0.00", "0.00")
    await stage.act("credit_notes", rest["id"], "void")
    assert await shown(stage, invoice) == ("pending", "1190000.00", "936840.00", "0.00")


async def test_a_note_is_in_the_currency_of_its_invoice(stage: Stage) -> None:
    invoice = await stage.invoice(items=[{"name": "x", "unit_price": "20000"}], currency="CLP")
    body = {"invoice": invoice["id"], "amount": "1.5", "reason": "x"}
    refused(await stage.client.post(NOTES, body), "validation_error", "amount")
    note = await stage.credit(invoice["id"], "5000")
    assert (note["currency"], note["amount"], note["credited_to_customer"]) == ("CLP", "5000", "0")


async def test_what_was_given_up_is_lowered_too(stage: Stage) -> None:
    invoice = await stage.invoice()
    await stage.act("collections", invoice["id"], "mark_uncollectible")
    note = await stage.credit(invoice["id"], "40000")
    assert await collections(stage, invoice) == [("uncollectible", "60000.00", "60000.00")]
    assert (await shown(stage, invoice))[0] == "uncollectible"
    await stage.act("credit_notes", note["id"], "void")
    assert await collections(stage, invoice) == [
        ("uncollectible", "60000.00", "60000.00"),
        ("pending", "40000.00", "40000.00"),
    ]
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "0.00")


# --- Refusals ---

WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"invoice": None, "reason": None}, ["invoice", "reason"]),
    ({"invoice": f"col_{NOBODY}", "reason": ""}, ["invoice", "reason"]),
    ({"invoice": 7}, ["invoice"]),
    ({"invoice": "inv_1", "amount": "x"}, ["invoice", "amount"]),
    ({"amount": "0"}, ["amount"]),
    ({"amount": "-1"}, ["amount"]),
    ({"amount": "1.001"}, ["amount"]),
    ({"reason": "x" * 256}, ["reason"]),
    ({"credit_note_number": "x" * 51, "meta_data": []}, ["credit_note_number", "meta_data"]),
    ({"credit_note_number": " "}, ["credit_note_number"]),
]


@pytest.mark.parametrize(("fields", "at_fault"), WRONG, ids=lambda value: str(value)[:60])
async def test_every_field_is_checked(stage: Stage, fields: dict[str, Any], at_fault: list[str]) -> None:
    body = {"invoice": (await stage.invoice())["id"], "reason": "x", **fields}
    refused(await stage.client.post(NOTES, body), "validation_error", *at_fault)


async def test_a_collection_without_an_invoice_has_no_notes(stage: Stage) -> None:
    alone = await stage.alone()
    refused(await stage.client.post(NOTES, {"invoice": alone["id"], "reason": "x"}), "validation_error", "invoice")


async def test_the_notes_never_exceed_the_total(stage: Stage) -> None:
    invoice = await stage.invoice()
    body = {"invoice": invoice["id"], "amount": "100000.01", "reason": "x"}
    refused(await stage.client.post(NOTES, body), "credit_note_exceeds_invoice")
    await stage.credit(invoice["id"], "60000")
    refused(await stage.client.post(NOTES, {**body, "amount": "40000.01"}), "credit_note_exceeds_invoice")
    await stage.act("collections", invoice["id"], "total", {"total": "90000"})
    await stage.credit(invoice["id"], "40000")
    assert await shown(stage, invoice) == ("pending", "100000.00", "50000.00", "0.00"), "the total was agreed later"
    refused(await stage.client.post(NOTES, {**body, "amount": None}), "credit_note_exceeds_invoice")


async def test_notes_at_once_never_exceed_the_total(stage: Stage) -> None:
    invoice = await stage.invoice()
    body = {"invoice": invoice["id"], "amount": "60000", "reason": "x"}
    answers = await asyncio.gather(*(stage.client.post(NOTES, body) for _ in range(4)))
    assert sorted(a.status for a in answers) == [200, 409, 409, 409]
    assert await shown(stage, invoice) == ("pending", "100000.00", "40000.00", "0.00")


async def test_notes_and_payments_at_once_lose_nothing(stage: Stage) -> None:
    """Whoever comes first, 100000 less 60000 is collected, and what was paid beyond is the customer's."""
    invoice = await stage.instalments("60000", "40000")
    note = {"invoice": invoice["id"], "amount": "20000", "reason": "x"}
    payment = {"amount": "15000", "method": "cash"}
    answers = await asyncio.gather(
        *(stage.client.post(NOTES, note) for _ in range(3)),
        *(stage.client.post(f"/v1/invoices/{invoice['id']}/pay", payment) for _ in range(4)),
    )
    assert [a.status for a in answers[:3]] == [200, 200, 200]
    paid = 15000 * sum(a.status == 200 for a in answers[3:])
    status, _, to_collect, total_paid = await shown(stage, invoice)
    assert to_collect == "40000.00"
    assert Decimal(total_paid) + Decimal(await credit_of(stage, invoice)) == paid
    assert status == ("paid" if total_paid == to_collect else "pending")


async def test_a_number_belongs_to_one_issued_note(stage: Stage) -> None:
    first, second = await stage.invoice(), await stage.invoice()
    note = await stage.credit(first["id"], "1000", credit_note_number="NC-7")
    body = {"invoice": second["id"], "amount": "1000", "reason": "x", "credit_note_number": " NC-7 "}
    taken = refused(await stage.client.post(NOTES, body), "credit_note_number_exists", "credit_note_number")
    assert taken["message"] == "Ya existe una nota crédito con el número NC-7."
    assert await shown(stage, second) == ("pending", "100000.00", "100000.00", "0.00"), "nothing was written"
    await stage.act("credit_notes", note["id"], "void")
    good(await stage.client.post(NOTES, body))
    for _ in range(2):
        await stage.credit(first["id"], "1000")


async def test_of_notes_at_once_one_gets_the_number(stage: Stage) -> None:
    invoices = [await stage.invoice() for _ in range(4)]
    bodies = [{"invoice": it["id"], "amount": "1", "reason": "x", "credit_note_number": "NC-9"} for it in invoices]
    answers = await asyncio.gather(*(stage.client.post(NOTES, body) for body in bodies))
    assert sorted(a.status for a in answers) == [200, 409, 409, 409]
    for answer in answers:
        if answer.status != 200:
            refused(answer, "credit_note_number_exists", "credit_note_number")


async def test_a_voided_invoice_has_no_more_notes(stage: Stage) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"], "40000")
    await stage.act("invoices", invoice["id"], "void")
    refused(await stage.client.post(NOTES, {"invoice": invoice["id"], "reason": "x"}), "invoice_voided")
    refused(await stage.client.post(f"{NOTES}/{note['id']}/void"), "invoice_voided")
    assert (await stage.get("credit_notes", note["id"]))["status"] == "issued"


async def test_unknown_ids_are_not_found(stage: Stage, world: World) -> None:
    other = Stage(speaks_treli(await world.merchant()))
    foreign = await other.invoice()
    note = await other.credit(foreign["id"], "1")
    for known_as in (f"cn_{NOBODY}", "x", note["id"], foreign["id"]):
        refused(await stage.client.get(f"{NOTES}/{known_as}"), "not_found")
        refused(await stage.client.post(f"{NOTES}/{known_as}/void"), "not_found")
    body = {"invoice": foreign["id"], "reason": "x"}
    refused(await stage.client.post(NOTES, body), "validation_error", "invoice")


# --- Voiding ---


async def test_a_voided_note_is_owed_again_today(stage: Stage, client: Client) -> None:
    invoice = await stage.instalments("60000", "40000", days=[10, 40])
    note = await stage.credit(invoice["id"], "70000")
    await client.advance_clock(days=3)
    await stage.act("credit_notes", note["id"], "void")
    assert await collections(stage, invoice) == [
        ("pending", "70000.00", "70000.00"),
        ("voided", "60000.00", "60000.00"),
        ("pending", "30000.00", "30000.00"),
    ]
    now = await stage.get("invoices", invoice["id"])
    assert (now["status"], now["amount_to_collect"]) == ("pending", "100000.00")
    rest = await stage.get("collections", now["collections"][0])
    number = invoice["invoice_number"]
    assert (rest["total"], rest["subtotal"], rest["description"]) == (
        "70000.00",
        "70000.00",
        f"Saldo de la factura {number}",
    )
    assert [item["name"] for item in rest["items"]] == [f"Saldo de la factura {number}"]
    assert rest["due_date"] < (await stage.get("collections", now["collections"][1]))["due_date"]
    await client.advance_clock(days=1)
    assert (await stage.get("collections", rest["id"]))["status"] == "overdue"
    refused(await stage.client.post(f"{NOTES}/{note['id']}/void"), "credit_note_voided")


async def test_the_last_due_day_moves_with_what_is_asked_again(stage: Stage, client: Client) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"])
    await client.advance_clock(days=3)
    await stage.act("credit_notes", note["id"], "void")
    now = await stage.get("invoices", invoice["id"])
    rest = await stage.get("collections", invoice["id"])
    assert (now["status"], now["days_until_due"], now["due_date"]) == ("pending", 3, rest["due_date"])
    assert now["checkout_url"] == rest["checkout_url"]


async def test_a_closed_invoice_opens_again_and_takes_its_credit_back(stage: Stage) -> None:
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"amount": "30000", "method": "cash"})
    note = await stage.credit(invoice["id"], "80000")
    await stage.act("credit_notes", note["id"], "void")
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "30000.00")
    assert await credit_of(stage, invoice) == "0.00"
    assert await collections(stage, invoice) == [("paid", "30000.00", "0.00"), ("pending", "70000.00", "70000.00")]
    paid = await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    assert (paid["status"], paid["total_paid"]) == ("paid", "100000.00")


async def test_a_paid_invoice_stays_paid_when_only_its_credit_comes_back(stage: Stage) -> None:
    invoice = await stage.invoice()
    paid = await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    for amount, status in (("40000", "paid"), (None, "voided")):
        note = await stage.credit(invoice["id"], amount)
        assert (await shown(stage, invoice))[0] == status
        await stage.act("credit_notes", note["id"], "void")
        assert await stage.get("invoices", invoice["id"]) == paid
        assert await credit_of(stage, invoice) == "0.00"


async def test_credit_that_was_used_does_not_come_back(stage: Stage, client: Client, world: World) -> None:
    """Nothing of this version uses credit, so the ledger is told that another invoice took it, and untold again."""
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    note = await stage.credit(invoice["id"], "40000")
    await world.execute(
        """
        INSERT INTO transfer
        SELECT account_id, account_id, account_id, NULL, NULL, customer_id, 'credit', 'receivable', 1, currency, at
        FROM transfer WHERE account_id = $1 AND credit = 'credit'
        """,
        client.account_id,
    )
    refused(await stage.client.post(f"{NOTES}/{note['id']}/void"), "credit_already_used")
    assert (await stage.get("credit_notes", note["id"]))["status"] == "issued"
    await world.execute("DELETE FROM transfer WHERE account_id = $1 AND id = $1", client.account_id)
    await stage.act("credit_notes", note["id"], "void")


async def test_a_note_is_voided_once_however_often_at_once(stage: Stage) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"], "40000")
    answers = await asyncio.gather(*(stage.client.post(f"{NOTES}/{note['id']}/void") for _ in range(4)))
    assert sorted(a.status for a in answers) == [200, 409, 409, 409]
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "0.00")
    refused(await stage.client.post(f"{NOTES}/{note['id']}/void", {"reason": 7}), "validation_error", "reason")


# --- Repeating ---


async def test_a_repeated_request_has_one_effect(stage: Stage) -> None:
    invoice = await stage.invoice()
    body = {"invoice": invoice["id"], "amount": "60000", "reason": "x", "credit_note_number": "NC-1"}
    answers = await asyncio.gather(*(stage.client.post(NOTES, body, once="k") for _ in range(4)))
    assert {(a.status, a.body) for a in answers} == {(200, answers[0].body)}
    assert sum("Idempotent-Replayed" not in a.headers for a in answers) == 1
    assert await shown(stage, invoice) == ("pending", "100000.00", "40000.00", "0.00")
    for other in ({**body, "amount": "1"}, {**body, "reason": None}):
        answer = await stage.client.post(NOTES, other, once="k")
        assert (answer.status, answer.json["code"]) == (409, "idempotency_key_reused")
    path = f"{NOTES}/{answers[0].json['id']}/void"
    voided = await stage.client.post(path, once="v")
    assert good(voided)["status"] == "voided"
    again = await stage.client.post(path, once="v")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (voided.body, "true")
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "0.00")


async def test_an_error_is_not_kept(stage: Stage) -> None:
    invoice = await stage.invoice()
    body = {"invoice": invoice["id"], "amount": "100001", "reason": "x"}
    refused(await stage.client.post(NOTES, body, once="k"), "credit_note_exceeds_invoice")
    good(await stage.client.post(NOTES, {**body, "amount": "100000"}, once="k"))


# --- Finding ---


async def test_notes_are_listed_by_what_they_are(stage: Stage) -> None:
    first, second = await stage.instalments("60000", "40000"), await stage.invoice()
    notes = [await stage.credit(it["id"], "1000") for it in (first, second, first)]
    await stage.act("credit_notes", notes[0]["id"], "void")

    async def listed(query: str) -> list[int]:
        found = good(await stage.client.get(f"{NOTES}?{query}"))
        assert list(found) == PAGE
        return [[note["id"] for note in notes].index(row["id"]) for row in found["data"]]

    assert await listed("") == [2, 1, 0]
    assert await listed(f"invoice={first['id']}") == [2, 0]
    assert await listed(f"invoice={first['collections'][1]}&status=issued") == [2]
    assert await listed(f"customer={second['customer']}") == [1]
    assert await listed("status=voided") == [0]
    assert await listed("invoice=x") == []
    page = good(await stage.client.get(f"{NOTES}?limit=1"))
    assert page["data"] == [await stage.get("credit_notes", notes[2]["id"])]
    assert page["has_more"]
    assert await listed(f"start_after={page['next_cursor']}") == [1, 0]
    answer = await stage.client.get(f"{NOTES}?status=paid&number=1&limit=0")
    refused(answer, "validation_error", "limit", "status", "number")
    refused(await stage.client.get(f"{NOTES}?start_after=cn_{NOBODY}"), "validation_error", "start_after")
    refused(await stage.client.get(f"{NOTES}?start_after={first['id']}"), "validation_error", "start_after")


# --- What others see ---


async def test_a_note_on_an_invoice_of_onepay(stage: Stage, client: Client) -> None:
    """Its total is what it asks for: 50000, and a note of 20000 leaves 30000 to be paid on the page."""
    made = await client.invoice(provider_id="F-1", customer=None)
    row = good(await stage.client.get("/v1/invoices"))["data"][0]
    note = await stage.credit(row["id"], "20000")
    assert (note["customer"], note["applied_to_balance"]) == (row["customer"], "20000.00")
    seen = fine(await client.get(f"/v1/invoices/{made['id']}"))
    assert (seen["amount"], seen["status"], seen["payment"]["amount"]) == (30000, "CREATED", 30000)
    answer = await stage.client.post(NOTES, {"invoice": row["id"], "amount": "30000.01", "reason": "x"})
    refused(answer, "credit_note_exceeds_invoice")
    await client.pay(seen["payment"]["id"])
    seen = fine(await client.get(f"/v1/invoices/{made['id']}"))
    assert (seen["status"], seen["amount_received"]) == ("PAID", 30000)
    rest = await stage.credit(row["id"])
    assert (rest["amount"], rest["credited_to_customer"]) == ("30000.00", "30000.00")
    seen = fine(await client.get(f"/v1/invoices/{made['id']}"))
    assert (seen["status"], seen["amount"]) == ("CANCELLED", 0)
    assert "amount_received" not in seen
    payment = fine(await client.get(f"/v1/payments/{seen['payment']['id']}"))
    assert (payment["status"], payment["overpaid_amount"]) == ("approved", 30000)
    await stage.act("credit_notes", rest["id"], "void")
    await stage.act("credit_notes", note["id"], "void")
    seen = fine(await client.get(f"/v1/invoices/{made['id']}"))
    assert (seen["status"], seen["amount"], seen["amount_received"]) == ("PARTIALLY_PAID", 50000, 30000)
    assert (seen["payment"]["amount"], seen["payment"]["status"]) == (20000, "pending")


async def test_an_invoice_of_treli_with_notes_is_read_through_onepay(stage: Stage, client: Client) -> None:
    invoice = await stage.instalments("60000", "40000")
    await stage.credit(invoice["id"], "70000")
    seen = await of_onepay(client, invoice["invoice_number"])
    assert (seen["amount"], seen["status"], seen["payment"]["amount"]) == (30000, "CREATED", 30000)
    first = await stage.get("collections", invoice["collections"][0])
    gone = fine(await client.get(f"/v1/payments/{uuid_of(first['checkout_url'])}"))
    assert gone["status"] == "cancelled"


async def test_the_page_asks_for_what_is_left_and_no_more_when_nothing_is(stage: Stage, client: Client) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"], "30000")
    async with client.session.get(invoice["checkout_url"]) as response:
        page = await response.text()
        assert "<form" in page
        assert "70.000" in page
    rest = await stage.credit(invoice["id"])
    async with client.session.get(invoice["checkout_url"]) as response:
        assert response.status == 200
        assert "<form" not in await response.text()
    for one in (note, rest):
        await stage.act("credit_notes", one["id"], "void")
    now = await stage.get("invoices", invoice["id"])
    for collection in now["collections"]:
        await client.pay(uuid_of((await stage.get("collections", collection))["checkout_url"]))
    assert await shown(stage, invoice) == ("paid", "100000.00", "100000.00", "100000.00")


async def test_money_that_lands_after_the_note_is_the_customer_s(stage: Stage, client: Client, world: World) -> None:
    """A transfer of 100000 was under way when a note left 40000 to pay: the rest of it is credit."""
    invoice = await stage.invoice()
    link = uuid_of(invoice["checkout_url"])
    await client.pay(link, outcome="pending_then_approve", method="pse")
    note = await stage.credit(invoice["id"], "60000")
    await client.advance_clock(hours=1)
    await world.drain()
    status, _, to_collect, paid = await shown(stage, invoice)
    assert (status, to_collect, paid) == ("paid", "40000.00", "40000.00")
    assert await credit_of(stage, invoice) == "60000.00"
    await stage.act("credit_notes", note["id"], "void")
    assert await shown(stage, invoice) == ("pending", "100000.00", "100000.00", "40000.00")


async def test_treli_is_told_of_collections_and_the_invoice(stage: Stage, client: Client, world: World) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, *[type_ for type_, core in TYPES.items() if core is not None])
        invoice = await stage.instalments("60000", "40000")
        note = await stage.credit(invoice["id"], "70000")
        rest = await stage.credit(invoice["id"])
        for one in (note, rest):
            await stage.act("credit_notes", one["id"], "void")
        await world.drain()
        await receiver.wait_for(8)
        told = [(it.json["type"], it.json["data"]["total"], it.json["data"]["status"]) for it in receiver.received]
    assert told == [
        ("invoice.created", "60000.00", "pending"),
        ("collection.created", "60000.00", "pending"),
        ("collection.created", "40000.00", "pending"),
        ("collection.voided", "60000.00", "voided"),
        ("collection.voided", "30000.00", "voided"),
        ("invoice.voided", "30000.00", "voided"),
        ("collection.created", "70000.00", "pending"),
        ("collection.created", "30000.00", "pending"),
    ]


async def test_the_feed_tells_of_the_note_itself(stage: Stage, client: Client) -> None:
    invoice = await stage.invoice()
    note = await stage.credit(invoice["id"], "40000")
    await stage.act("credit_notes", note["id"], "void")
    page = fine(await client.get("/recaudo/v1/events?type=invoice.credited,invoice.credit_voided&wait=5"))
    assert [(it["type"], it["data"]["lowered_minor"]) for it in page["data"]] == [
        ("invoice.credited", 4_000_000),
        ("invoice.credit_voided", 4_000_000),
    ]
    assert len({it["data"]["credit_note_id"] for it in page["data"]}) == 1
