"""Paying at vendors' pages and coming back, in a real browser on a small phone: the vendors are fakes.

Whatever the vendors' pages or return addresses say, ours shows what our database knows.
"""

import asyncio
from typing import Any

import pytest

from tests.browser.conftest import NewPhone
from tests.browser.phone import Phone
from tests.browser.street import Street
from tests.browser.test_payer_page import PARTS, link, status_of
from tests.fakes import Outcome, Scenario
from tests.world import Client

pytestmark = pytest.mark.browser

PERSON = {
    "Número de documento": "1.032.456.789",
    "Nombre o razón social": "Ana María Rojas",
    "Celular": "300 123 4567",
    "Correo electrónico": "ana@example.com",
}


async def choose(phone: Phone, method: str, amount: str | None = None) -> None:
    """Choose a way to pay on the first page."""
    if amount is not None:
        await phone.tab.get_by_role("radio", name="Una parte").check()
        await phone.field("Valor que va a pagar").fill(amount)
    await phone.tab.get_by_role("radio", name=method).check()
    await phone.send()


async def fill_in(phone: Phone, **changes: str) -> None:
    """Type what PSE asks for."""
    await phone.tab.get_by_role("radio", name="Persona").check()
    await phone.field("Banco").select_option(label="BANCOLOMBIA")
    for label, text in (PERSON | changes).items():
        await phone.tab.get_by_label(label, exact=True).fill(text)
    await phone.tab.get_by_role("checkbox").check()


async def go_to_bank(phone: Phone) -> None:
    """Send the details and wait for the bank's page."""
    await phone.tab.get_by_role("button", name="Pagar").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)


async def last_transaction(street: Street) -> Any:
    return street.fakes.call(lambda: list(street.fakes.wompi.transactions.values())[-1])


async def come_back(phone: Phone, button: str) -> None:
    await phone.tab.get_by_role("button", name=button, exact=True).click()
    await phone.tab.wait_for_url("**/payment/**")
    await phone.check()


async def look(phone: Phone, page: str) -> None:
    """Wait for the page by itself; without scripts it may take a press or two."""
    for _ in range(10):
        if phone.scripts or await phone.page() == page:
            break
        await asyncio.sleep(0.5)
        await phone.hear_from_bank()
    await phone.wait_for(page)


async def test_pse_from_the_choice_to_the_receipt(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_wompi(shop)
    invoice = await shop.invoice()
    await phone.open(link(invoice))
    assert "Resultado de la prueba" not in await phone.words()
    await choose(phone, "PSE")
    assert await phone.page() == "details"
    words = await phone.words()
    assert "Pague con PSE" in words
    assert "$ 50.000" in words
    for secret in ("3167591030", "1060500333"):
        assert secret not in await phone.tab.content()
    await fill_in(phone)
    await go_to_bank(phone)
    bank = " ".join((await phone.tab.locator("main").inner_text()).split())
    assert "$ 50.000 COP" in bank
    assert "CC 1032456789" in bank
    assert await phone.tab.evaluate("document.referrer") == ""
    await come_back(phone, "Autorizar el pago")
    await look(phone, "payment-paid")
    words = await phone.words()
    assert "PSE · BANCOLOMBIA" in words
    assert "CUS" in words
    assert await status_of(shop, invoice) == "approved"
    # Nothing that was typed is in the database.
    (attempt,) = await street.rows("SELECT * FROM attempt WHERE account_id = $1", shop.account_id)
    kept = " ".join(str(value) for value in attempt.values())
    for secret in ("1032456789", "ana@example.com", "3001234567", "Ana María"):
        assert secret not in kept


async def test_pending_at_the_bank_is_shown_as_pending_until_it_is_not(
    phone: Phone, street: Street, shop: Client
) -> None:
    await street.with_wompi(shop)
    invoice = await shop.invoice()
    await phone.open(link(invoice))
    await choose(phone, "PSE")
    await fill_in(phone)
    await go_to_bank(phone)
    await come_back(phone, "Salir sin decidir")
    assert await phone.page() == "payment-in_progress"
    assert await phone.title() == "Esperamos la confirmación del banco"
    assert "¿No terminó en la página del banco?" in await phone.words()
    transaction = await last_transaction(street)
    street.fakes.call(lambda: street.fakes.wompi.settle(transaction.id))
    await look(phone, "payment-paid")
    assert await status_of(shop, invoice) == "approved"


async def test_who_leaves_the_bank_sees_it_waiting_and_may_go_on(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_wompi(shop)
    invoice = await shop.invoice()
    await phone.open(link(invoice))
    await choose(phone, "PSE")
    await fill_in(phone)
    await go_to_bank(phone)
    # Whoever opens the link now, the payer in another tab or somebody else, sees the same.
    await phone.open(link(invoice))
    assert await phone.title() == "Falta terminar el pago"
    await phone.tab.get_by_role("link", name="Continuar el pago").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)
    await come_back(phone, "Autorizar el pago")
    await look(phone, "payment-paid")


async def test_a_decline_of_the_bank_says_so_and_the_next_try_pays(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_wompi(shop)
    invoice = await shop.invoice()
    await phone.open(link(invoice))
    await choose(phone, "PSE")
    await fill_in(phone)
    await go_to_bank(phone)
    await come_back(phone, "Rechazar el pago")
    await look(phone, "payment-payable")
    words = await phone.words()
    assert "El pago no se hizo" in words
    assert "No se le cobró nada." in words
    await choose(phone, "Nequi")
    await phone.field("Celular de su Nequi").fill("3991111111")
    await phone.field("Correo electrónico").fill("ana@example.com")
    await phone.tab.get_by_role("checkbox").check()
    await phone.send()
    await look(phone, "payment-paid")
    assert "Nequi" in await phone.words()


async def test_nequi_says_what_to_do_on_the_phone(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_wompi(shop)
    street.fakes.call(lambda: street.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING)))
    await phone.open(link(await shop.invoice()))
    await choose(phone, "Nequi")
    await phone.field("Celular de su Nequi").fill("300 123 4567")
    await phone.field("Correo electrónico").fill("ana@example.com")
    await phone.tab.get_by_role("checkbox").check()
    await phone.send()
    assert await phone.title() == "Abra Nequi y acepte el pago"
    assert "3001234567" not in await phone.tab.content()
    transaction = await last_transaction(street)
    street.fakes.call(lambda: street.fakes.wompi.settle(transaction.id))
    await look(phone, "payment-paid")


async def test_a_qr_code_is_shown_and_the_page_sees_it_paid(phone: Phone, street: Street) -> None:
    shop = await street.merchant(settings={"allows": {"accounts": True, "cards": True, "realtime": True}})
    await street.with_wompi(shop)
    street.fakes.call(lambda: street.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING)))
    await phone.open(link(await shop.invoice()))
    await choose(phone, "QR Bancolombia")
    await phone.field("Correo electrónico").fill("ana@example.com")
    await phone.tab.get_by_role("checkbox").check()
    await phone.send()
    assert await phone.title() == "Escanee el código para pagar"
    picture = phone.tab.get_by_role("img", name="Código QR para pagar $ 50.000")
    assert await picture.evaluate("(image) => image.complete && image.naturalWidth > 0")
    transaction = await last_transaction(street)
    street.fakes.call(lambda: street.fakes.wompi.settle(transaction.id))
    await look(phone, "payment-paid")
    assert "QR Bancolombia" in await phone.words()


async def test_a_card_is_paid_at_the_gateways_checkout(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_wompi(shop)
    await phone.open(link(await shop.invoice()))
    assert "Se abre la página segura de Wompi" in await phone.words()
    await phone.tab.get_by_role("radio", name="Tarjeta").check()
    await phone.tab.get_by_role("button", name="Pagar").click()
    if not phone.scripts:
        await phone.tab.get_by_role("button", name="Seguir con el pago").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)
    assert await phone.tab.evaluate("document.referrer") == ""
    await come_back(phone, "Pagar (aprobado)")
    await look(phone, "payment-paid")


async def test_who_comes_back_from_the_checkout_without_paying_can_pay(
    phone: Phone, street: Street, shop: Client
) -> None:
    await street.with_wompi(shop)
    invoice = await shop.invoice()
    await phone.open(link(invoice))
    await phone.tab.get_by_role("radio", name="Tarjeta").check()
    await phone.tab.get_by_role("button", name="Pagar").click()
    if not phone.scripts:
        await phone.tab.get_by_role("button", name="Seguir con el pago").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)
    await phone.open(link(invoice))
    assert await phone.page() == "payment-payable"
    assert "Un pago de $ 50.000 quedó empezado" in await phone.words()
    await phone.tab.get_by_role("link", name="Continuar el pago").click()
    if not phone.scripts:
        await phone.tab.get_by_role("button", name="Seguir con el pago").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)
    await come_back(phone, "Pagar (aprobado)")
    await look(phone, "payment-paid")


async def test_mercado_pago_there_and_back(phone: Phone, street: Street, shop: Client) -> None:
    await street.with_mercadopago(shop)
    await phone.open(link(await shop.invoice()))
    assert "Se abre la página segura de Mercado Pago" in await phone.words()
    await phone.tab.get_by_role("radio", name="PSE").check()
    await phone.tab.get_by_role("button", name="Pagar").click()
    await phone.tab.get_by_text("Simulador local").wait_for(timeout=12_000)
    await come_back(phone, "Pagar (aprobado)")
    await look(phone, "payment-paid")


async def test_what_is_wrong_is_said_beside_it_and_what_was_typed_stays(
    phone: Phone, street: Street, shop: Client
) -> None:
    await street.with_wompi(shop)
    await phone.open(link(await shop.invoice(amount=100000, partial_payment_config=PARTS)))
    await choose(phone, "PSE", amount="35.000")
    assert "$ 35.000" in await phone.words()
    await phone.tab.get_by_label("Número de documento", exact=True).fill("12")
    await phone.tab.get_by_label("Nombre o razón social", exact=True).fill("Ana María Rojas")
    await phone.send()
    words = await phone.words()
    for sentence in (
        "Elija quién paga.",
        "Elija el banco desde el que va a pagar.",
        "Escriba el número completo, tal como está en el documento.",
        "Escriba un celular de Colombia de 10 dígitos",
        "Escriba un correo completo",
        "Para pagar con este medio tiene que aceptar las condiciones.",
    ):
        assert sentence in words
    assert "Escriba el nombre completo" not in words
    assert await phone.tab.get_by_label("Nombre o razón social", exact=True).input_value() == "Ana María Rojas"
    assert await phone.tab.evaluate("document.activeElement.name") == "person_type"
    # Back keeps what was chosen.
    await phone.press("Volver a elegir")
    assert await phone.tab.get_by_role("radio", name="PSE").is_checked()
    assert await phone.field("Valor que va a pagar").input_value() == "35.000"


async def test_the_button_back_from_the_bank_leads_to_the_truth(
    new_phone: NewPhone, street: Street, shop: Client
) -> None:
    phone = await new_phone()
    await street.with_wompi(shop)
    await phone.open(link(await shop.invoice()))
    await choose(phone, "PSE")
    await fill_in(phone)
    await go_to_bank(phone)
    await phone.tab.go_back()
    await phone.wait_for("payment-in_progress")
    assert await phone.title() == "Falta terminar el pago"
