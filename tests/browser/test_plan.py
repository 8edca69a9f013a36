"""An invoice in instalments in a real browser on a small phone, with and without JavaScript."""

from typing import Any

import pytest

from tests.browser.phone import Phone
from tests.dialects.treli.wire import basic
from tests.world import Client, World

pytestmark = pytest.mark.browser


async def treli(client: Client, path: str, body: Any) -> Any:
    answer = await client.call("POST", f"/treli/v1{path}", body, headers={"Authorization": basic(client.key)})
    assert answer.status == 200, answer.json
    return answer.json


async def in_three(client: Client, number: str) -> Any:
    """An invoice of 90 000 pesos: a third today, the others later."""
    customer = await treli(
        client,
        "/customers",
        {
            "full_name": "Ana Pérez",
            "email": "ana@ejemplo.com",
            "billing_address": {"id_type": "CC", "identification": number},
        },
    )
    plan = [{"amount": "30000", "days_until_due": days} for days in (0, 30, 60)]
    return await treli(
        client,
        "/invoices",
        {
            "items": [{"name": "Matrícula", "unit_price": "90000"}],
            "invoice_number": f"FV-{number}",
            "customer": customer["id"],
            "installments": {"number_of_installments": 3, "installments_settings": plan},
        },
    )


async def test_a_payer_sees_the_plan_and_pays_ahead(phone: Phone, client: Client) -> None:
    invoice = await in_three(client, "1060500333")
    await phone.open(invoice["checkout_url"])
    words = await phone.words()
    assert "Factura FV-1060500333 · Cuota 1 de 3" in words
    assert "Plan de 3 cuotas" in words
    await phone.tab.locator(".plan summary").click()
    words = await phone.words()
    assert words.count("Por pagar") == 3
    await phone.press("Cuota 3")
    assert "Cuota 3 de 3" in await phone.words()
    await phone.pay()
    assert await phone.title() == "Pago recibido"
    words = await phone.words()
    assert (words.count("Pagada"), words.count("Por pagar")) == (1, 2)
    await phone.press("Cuota 1")
    await phone.pay()
    await phone.press("Cuota 2")
    await phone.pay()
    assert (await phone.words()).count("Pagada") == 3


async def test_the_portal_asks_for_the_instalment_that_is_due(phone: Phone, client: Client, world: World) -> None:
    await in_three(client, "52700333")
    await phone.open(f"{world.base_url}/{client.slug}/test")
    await phone.field("Referencia o documento").fill("52700333")
    await phone.send()
    words = await phone.words()
    assert "Un cobro por pagar" in words
    assert "$ 30.000" in words
    await phone.press("Factura FV-52700333")
    assert "Cuota 1 de 3" in await phone.words()
    await phone.pay()
    assert await phone.title() == "Pago recibido"
