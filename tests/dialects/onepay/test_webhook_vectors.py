"""The published vectors of section 14.6: our bytes and our signatures, and the libraries that check them."""

import base64
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import standardwebhooks

from recaudo.dialects.onepay.webhooks import TYPES, OnePayWebhooks
from recaudo.domain.delivering import Endpoint
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import Account, Collection, Event, Invoice, InvoiceKind
from recaudo.domain.states import CollectionState, InvoiceState
from recaudo.edge.ecmascript import stringify
from recaudo.store.events import Snapshot, Told
from recaudo.usecases.ports import Message

FIXTURES = Path(__file__).parents[2] / "fixtures" / "onepay"
VECTORS = ["webhook-invoice-paid", "webhook-serialisation"]
BASE_URL = "https://cobros.example.com"
EVENT_NUMBER = "00031NFOhRbOR4L3cWVwfPNU"


def vector(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.vector.json").read_text(encoding="utf-8"))


def endpoint(it: dict[str, Any]) -> Endpoint:
    now = datetime(2025, 10, 20, tzinfo=UTC)
    return Endpoint(
        account_id=UUID(int=1),
        id=UUID(int=2),
        dialect="onepay",
        name="ERP",
        description=None,
        url="https://erp.example.com/hooks",
        types=("invoice.paid",),
        secret=it["secret"],
        token=it["header_token"],
        created_at=now,
        updated_at=now,
    )


def uuid_of(event_id: str) -> UUID:
    """The number that an event id writes in base 62."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in event_id.removeprefix("evt_"):
        number = number * 62 + digits.index(digit)
    return UUID(int=number)


@pytest.mark.parametrize("name", VECTORS)
def test_the_headers_are_those_of_the_vector(name: str) -> None:
    it = vector(name)
    body = it["body"].encode()
    assert len(body) == it["body_length_bytes"]
    event = json.loads(body)["event"]
    message = Message(event_id=uuid_of(event["id"]), type=event["type"], subject_version=3, body=body)
    headers = dict(OnePayWebhooks().headers(message, endpoint(it), [it["secret"]], it["webhook_timestamp"]))
    assert {n: headers[n] for n in it["expected_headers"]} == it["expected_headers"]
    assert headers["user-agent"] == "Recaudo-Webhook/1"
    assert headers["Recaudo-Subject-Version"] == "3"


@pytest.mark.parametrize("name", VECTORS)
def test_the_body_survives_being_read_and_written_again(name: str) -> None:
    body = vector(name)["body"]
    assert stringify(json.loads(body)).decode() == body


@pytest.mark.parametrize("name", VECTORS)
def test_the_standard_webhooks_library_accepts_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    it = vector(name)
    secret = "whsec_" + base64.b64encode(it["secret"].encode()).decode()
    assert secret == it["standard_webhooks_library_secret"]
    library = standardwebhooks.Webhook(secret)
    # The vector is of 2025: the library's own check of the age is for receivers, not for this.
    at = datetime.fromtimestamp(it["webhook_timestamp"], UTC)
    monkeypatch.setattr(library, "_Webhook__verify_timestamp", lambda _: at)
    library.verify(it["body"], it["expected_headers"])
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        library.verify(it["body"] + " ", it["expected_headers"])


def test_the_paid_invoice_of_the_examples_is_rendered_to_the_byte() -> None:
    it = vector("webhook-invoice-paid")
    created, paid = datetime(2025, 10, 20, 15, 6, tzinfo=UTC), datetime(2025, 10, 20, 16, 40, 12, 345678, tzinfo=UTC)
    account_id, invoice_id = UUID(int=1), UUID("019a0227-e3c0-7deb-98d0-580c35eb945d")
    collection_id = UUID("019a0227-e3c0-72ea-b567-a6eac83b8e05")
    method = {
        "id": "019a027e-21e0-7d98-9b3a-d52f878d295a",
        "brand": "VISA",
        "label": "VISA **** 1111",
        "last_four": "1111",
        "expiration_date": "2028-12",
        "created_at": "2025-10-20T16:40:12.345678Z",
        "country": "CO",
    }
    invoice = Invoice(
        account_id=account_id,
        id=invoice_id,
        version=3,
        kind=InvoiceKind.INVOICE,
        dialect="onepay",
        state=InvoiceState.PAID,
        currency="COP",
        amount_minor=5_000_000,
        received_minor=5_000_000,
        name="Internet plan - Octubre",
        reference="1060500333",
        origin="biller",
        origin_id="987654",
        phone="+573167591030",
        due_on=date(2025, 10, 20),
        document_url="https://example.com/document.pdf",
        metadata={"key": "value"},
        allows={"accounts": True, "cards": True, "card_extra": False, "realtime": False},
        collection_id=collection_id,
        wire={},
        created_at=created,
        updated_at=paid,
        paid_at=paid,
    )
    collection = Collection(
        account_id=account_id,
        id=collection_id,
        invoice_id=invoice_id,
        generation=1,
        state=CollectionState.PAID,
        currency="COP",
        amount_minor=5_000_000,
        received_minor=5_000_000,
        parts=1,
        due_on=date(2025, 10, 20),
        method=method,
        created_at=created,
        updated_at=paid,
        paid_at=paid,
    )
    event = Event(
        account_id=account_id,
        id=uuid_of(EVENT_NUMBER),
        subject_id=invoice_id,
        version=3,
        ordinal=2,
        type="invoice.paid",
        collection_id=collection_id,
        data={},
        at=paid,
    )
    account = Account(id=account_id, merchant_id=account_id, is_test=True)
    told = Told(event=event, snapshot=Snapshot(invoice=invoice, collections=(collection,)), account=account)
    assert OnePayWebhooks().body(told, BASE_URL) == ("invoice.paid", it["body"].encode())


def test_every_type_that_is_raised_names_an_event_of_the_core() -> None:
    future = {"collection.refunded"}  # listed, and raised once a gateway gives money back
    assert {core for core in TYPES.values() if core is not None} <= set(EVENT_TYPES) | future


@pytest.mark.parametrize("type_", TYPES)
def test_a_sample_can_be_made_of_every_type(type_: str) -> None:
    now = datetime(2025, 10, 20, 15, 6, tzinfo=UTC)
    body = OnePayWebhooks().sample(type_, BASE_URL, now, is_test=True, event_id=UUID(int=7))
    resource = type_.partition(".")[0]
    made = json.loads(body)
    assert list(made) == [resource, "event"]
    assert made[resource]["id"] == "00000000-0000-0000-0000-000000000000"
    assert made["event"] == {
        "id": "evt_000000000000000000000007",
        "type": type_,
        "timestamp": 1760972760,
        "environment": "test",
    }
