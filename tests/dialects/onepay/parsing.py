"""What the tests of the OnePay bodies share: accounts, a moment, good bodies, and the errors of a bad one."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from recaudo.dialects.onepay.parse import InvalidError
from recaudo.domain.model import Account, Invoice, InvoiceKind
from recaudo.domain.states import InvoiceState
from recaudo.edge.bodies import decode_object

FIXTURES = Path(__file__).parents[2] / "fixtures" / "onepay"

NOW = datetime(2025, 10, 20, 15, 6, tzinfo=UTC)
TODAY = date(2025, 10, 20)
LIVE = Account(id=UUID(int=1), merchant_id=UUID(int=2), is_test=False)
TEST = Account(id=UUID(int=3), merchant_id=UUID(int=2), is_test=True)
CUSTOMER_ID = UUID("019a0227-e3c0-7000-8000-000000000001")

PHONE = "El teléfono debe estar en formato E.164 y ser válido para su país."
EMAIL = "El correo electrónico (email) no es válido."
AMOUNT = "El valor debe estar entre $ 5.000 y $ 100.000.000."
CONTACT_WORDS = ("E.164", "teléfono", "correo", "email")

INVOICE: dict[str, Any] = {
    "reference": "1060500333",
    "provider": "biller",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
}
PAYMENT: dict[str, Any] = {"title": "Matrícula"}
CUSTOMER: dict[str, Any] = {"first_name": "Ana", "email": "ana@ejemplo.com"}

# A stored invoice that changes are asked of.
STORED = Invoice(
    account_id=LIVE.id,
    id=UUID(int=10),
    version=1,
    kind=InvoiceKind.INVOICE,
    dialect="onepay",
    state=InvoiceState.OPEN,
    currency="COP",
    amount_minor=5_000_000,
    name="Internet plan - Octubre",
    reference="1060500333",
    origin="biller",
    origin_id="987654",
    phone="+573167591030",
    email="cliente@ejemplo.com",
    metadata={"key": "value"},
    allows=dict(LIVE.allows),
    collection_id=UUID(int=11),
    wire={},
    created_at=NOW,
    updated_at=NOW,
)


def example(name: str) -> dict[str, Any]:
    """A published or expected body, decoded as the server decodes it."""
    return decode_object((FIXTURES / f"{name}.json").read_bytes())


def account(of: Account = LIVE, **settings: Any) -> Account:
    return msgspec.structs.replace(of, **settings)


def stored(**fields: Any) -> Invoice:
    return msgspec.structs.replace(STORED, **fields)


def errors_of(parse: Callable[[], object]) -> dict[str, list[str]]:
    """The errors by field, in order."""
    with pytest.raises(InvalidError) as raised:
        parse()
    return raised.value.errors


def json_of(text: str) -> Any:
    """A value spelled in JSON, as the server decodes it."""
    return decode_object(f'{{"value":{text}}}'.encode())["value"]
