"""Paying in a real browser on a small phone, with and without JavaScript: every way it can go."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from tests.browser.conftest import NewPhone
from tests.browser.phone import PAYMENT_BUTTON, Phone
from tests.web.visiting import Visitor, path_of, request
from tests.world import Client, World

pytestmark = pytest.mark.browser

PARTS = {"min_amount": 20000, "max_payment_methods": 3}


def link(paid: Mapping[str, Any]) -> str:
    """The payment link of an invoice or a payment."""
    return (paid.get("payment") or paid)["payment_link"]


async def attempts_of(world: World, client: Client) -> int:
    return len(await world.rows("SELECT id FROM attempt WHERE account_id = $1", client.account_id))


async def status_of(client: Client, paid: Mapping[str, Any]) -> str:
    payment_id = (paid.get("payment") or paid)["id"]
    return (await client.get(f"/v1/payments/{payment_id}")).json["status"]


# Each outcome.


async def test_a_payment_that_is_approved_ends_with_a_receipt(phone: Phone, client: Client) -> None:
    invoice = await client.invoice(due_date="2027-10-20", description="Plan de 200 megas")
    await phone.open(link(invoice))
    assert "Vence el 20 de octubre de 2027" in await phone.words()
    await phone.pay(method="Nequi")
    assert await phone.title() == "Pago recibido"
    words = await phone.words()
    assert "$ 50.000" in words
    assert "Nequi" in words
    printing = phone.tab.get_by_role("button", name="Imprimir comprobante")
    assert await printing.is_visible() == phone.scripts
    assert await status_of(client, invoice) == "approved"
    # A reload shows the receipt again and pays nothing.
    await phone.tab.reload()
    assert await phone.title() == "Pago recibido"


async def test_a_decline_says_why_and_the_next_try_pays(phone: Phone, client: Client) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("decline")
    words = await phone.words()
    assert "El pago no se hizo No había saldo suficiente. No se le cobró nada." in words
    await phone.pay(method="Tarjeta")
    assert "Visa ·4242" in await phone.words()
    assert await status_of(client, invoice) == "approved"


async def test_a_decline_is_news_for_a_while_only(phone: Phone, client: Client) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("decline")
    await client.advance_clock(hours=1)
    await phone.open(link(invoice))
    assert "El pago no se hizo" not in await phone.words()
    assert await phone.page() == "payment-payable"


async def test_a_pending_payment_shows_its_answer_by_itself(phone: Phone, client: Client, world: World) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("pending_then_approve")
    assert await phone.title() == "Esperamos la confirmación del banco"
    assert "No pague otra vez" in await phone.words()
    await client.advance_clock(seconds=60)
    await world.drain()
    await phone.hear_from_bank()
    await phone.wait_for("payment-paid")
    assert await status_of(client, invoice) == "approved"


async def test_paying_again_is_an_explicit_choice_and_the_excess_is_told(
    phone: Phone, client: Client, world: World
) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("pending_then_approve")
    await phone.press("¿Su pago no salió bien? Pagar otra vez")
    assert "Hay un pago anterior sin confirmar." in await phone.words()
    await phone.pay("decline")
    # The second try is told about; the first is still waited for.
    words = await phone.words()
    assert "El pago no se hizo No había saldo suficiente. No se le cobró nada." in words
    assert await phone.page() == "payment-in_progress"
    await phone.press("¿Su pago no salió bien? Pagar otra vez")
    await phone.pay("approve")
    assert await phone.title() == "Pago recibido"
    await client.advance_clock(seconds=60)
    await world.drain()
    await phone.open(link(invoice))
    words = await phone.words()
    assert "$ 100.000" in words
    assert "Saldo a su favor $ 50.000" in words


async def test_a_bank_that_never_answers_is_not_a_failure(phone: Phone, client: Client) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("never_answer")
    assert await phone.page() == "payment-in_progress"
    await phone.press("Actualizar ahora")
    assert await phone.page() == "payment-in_progress"
    assert "No se le cobró nada" not in await phone.words()


async def test_money_that_arrives_twice_is_shown_as_credit(phone: Phone, client: Client) -> None:
    await phone.open(link(await client.invoice()))
    await phone.pay("approve_twice")
    words = await phone.words()
    assert "Saldo a su favor $ 50.000" in words
    assert "Ese saldo es suyo." in words


# How much.


async def test_paying_in_parts_to_the_last_one(phone: Phone, client: Client) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config={**PARTS, "max_amount": 60000})
    await phone.open(link(invoice))
    await phone.pay(amount="10000")
    words = await phone.words()
    assert "Ese valor es muy bajo. Entre $ 20.000 y $ 60.000" in words
    assert await phone.field("Valor que va a pagar").is_visible()
    await phone.pay(amount="30.000")
    words = await phone.words()
    assert "Recibimos su pago. Gracias." in words
    assert "Ya pagó $ 30.000 de $ 100.000" in words
    assert "2 pagos como máximo" in words
    await phone.pay(amount="$ 50000")
    words = await phone.words()
    assert "Este es el último pago posible" in words
    await phone.send()
    assert await phone.title() == "Pago recibido"
    assert await phone.tab.locator(".receipts li").count() == 3


async def test_a_part_or_the_whole(phone: Phone, client: Client, world: World) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config=PARTS)
    await phone.open(link(invoice))
    await phone.pay(amount="90000")
    assert "Con ese valor quedaría un saldo demasiado pequeño." in await phone.words()
    await phone.pay(amount="35000,50")
    assert "Escriba pesos completos, sin centavos." in await phone.words()
    await phone.pay(amount="35,000")
    assert "No entendimos el valor." in await phone.words()
    assert await attempts_of(world, client) == 0
    await phone.pay(amount="35000")
    await phone.pay()
    assert await phone.title() == "Pago recibido"
    assert await status_of(client, invoice) == "approved"


async def test_without_scripts_a_typed_amount_is_read_back_first(
    new_phone: NewPhone, client: Client, world: World
) -> None:
    phone = await new_phone(scripts=False)
    await phone.open(link(await client.invoice(amount=100000, partial_payment_config=PARTS)))
    await phone.tab.get_by_role("radio", name="Una parte").check()
    await phone.field("Valor que va a pagar").fill("35000")
    await phone.send()
    assert await phone.title() == "Confirme su pago"
    assert await attempts_of(world, client) == 0
    await phone.press("Cambiar el valor")
    assert await phone.page() == "payment-payable"


async def test_an_open_amount_is_the_payers_to_choose(phone: Phone, client: Client) -> None:
    payment = await request(client, title="Donación para el comedor")
    await phone.open(link(payment))
    assert "Usted elige cuánto pagar" in await phone.words()
    await phone.pay(amount="100")
    assert "Ese valor es muy bajo. Entre $ 5.000 y $ 100.000.000" in await phone.words()
    await phone.pay(amount="75000")
    assert await phone.title() == "Pago recibido"
    assert "$ 75.000" in await phone.words()


# What else may have happened to a charge.


async def test_a_replaced_charge_leads_to_the_new_one_and_takes_no_money(
    phone: Phone, client: Client, world: World
) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    new = (await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 60000})).json
    # The page was open all the while.
    await phone.send()
    words = await phone.words()
    assert await phone.title() == "Este cobro fue actualizado"
    assert "No hicimos este pago ni se le cobró nada" in words
    assert await attempts_of(world, client) == 0
    await phone.press("Ver el cobro actualizado")
    assert phone.tab.url.startswith(link(new))
    await phone.pay()
    assert await phone.title() == "Pago recibido"


async def test_a_payment_under_way_when_the_charge_is_replaced_is_not_forgotten(
    phone: Phone, client: Client, world: World
) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await phone.pay("settle_after_replacement")
    await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 60000})
    await phone.press("Actualizar ahora")
    words = await phone.words()
    assert await phone.page() == "payment-superseded"
    assert "Todavía se está confirmando un pago de $ 50.000" in words
    await client.advance_clock(hours=1)
    await world.drain()
    await phone.hear_from_bank()
    await phone.wait_for("payment-paid")


async def test_a_withdrawn_charge_says_so_and_whom_to_ask(phone: Phone, client: Client) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config=PARTS)
    await phone.open(link(invoice))
    await phone.pay(amount="20000")
    await client.delete(f"/v1/invoices/{invoice['id']}")
    await phone.open(link(invoice))
    words = await phone.words()
    assert await phone.title() == "Este cobro fue cancelado"
    assert "Saldo a su favor $ 20.000" in words
    assert await phone.tab.get_by_role("link", name="Hablar con").get_attribute("href") == "mailto:hola@ejemplo.com"


async def test_a_cancelled_request_says_so(phone: Phone, client: Client) -> None:
    payment = await request(client, amount=20000)
    await client.delete(f"/v1/payments/{payment['id']}")
    await phone.open(link(payment))
    assert await phone.title() == "Este cobro fue cancelado"
    assert "hola@ejemplo.com" in await phone.words()


async def test_a_charge_paid_outside_asks_for_nothing_more(phone: Phone, client: Client) -> None:
    invoice = await client.invoice()
    await client.delete(f"/v1/invoices/{invoice['id']}", {"reason": "PAID_FROM_PROVIDER"})
    await phone.open(link(invoice))
    words = await phone.words()
    assert await phone.title() == "Este cobro ya está pagado"
    assert "Por este cobro no tiene que pagar nada más." in words
    assert "Valor del cobro $ 50.000" in words


async def test_a_page_left_open_past_its_time_takes_no_money(phone: Phone, client: Client, world: World) -> None:
    today = (await client.get("/recaudo/v1/clock")).json["now"][:10]
    payment = await request(client, amount=20000, expiration_date=today)
    await phone.open(link(payment))
    assert "Este enlace recibe pagos hasta el" in await phone.words()
    await client.advance_clock(days=2)
    await phone.send()
    words = await phone.words()
    assert await phone.title() == "Este enlace venció"
    assert "No hicimos este pago ni se le cobró nada" in words
    assert "hola@ejemplo.com" in words
    assert await attempts_of(world, client) == 0
    await world.drain()
    await phone.open(link(payment))
    assert await phone.title() == "Este enlace venció"


async def test_the_time_for_the_rest_may_run_out(phone: Phone, client: Client) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config={**PARTS, "timeout_hours": 24})
    await phone.open(link(invoice))
    await phone.pay(amount="20000")
    await client.advance_clock(days=2)
    await phone.open(link(invoice))
    words = await phone.words()
    assert await phone.title() == "Se acabó el plazo para completar el pago"
    assert "Usted pagó $ 20.000" in words
    assert "Falta por pagar $ 80.000" in words


async def test_somebody_else_pays_while_the_page_is_open(phone: Phone, client: Client, world: World) -> None:
    invoice = await client.invoice()
    await phone.open(link(invoice))
    await client.pay(invoice["payment"]["id"])
    await phone.send()
    words = await phone.words()
    assert await phone.title() == "Este cobro ya está pagado"
    assert "No hicimos este pago ni se le cobró nada" in words
    assert "Gracias. Su pago" not in words
    assert await attempts_of(world, client) == 1


async def test_somebody_pays_a_part_while_the_page_is_open(phone: Phone, client: Client, world: World) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config=PARTS)
    await phone.open(link(invoice))
    await client.pay(invoice["payment"]["id"], amount=30000)
    await phone.send()
    words = await phone.words()
    assert "El saldo cambió mientras esta página estaba abierta." in words
    assert "Saldo por pagar $ 70.000" in words
    assert await attempts_of(world, client) == 1
    await phone.pay()
    assert await phone.title() == "Pago recibido"


async def test_a_link_of_nobody(phone: Phone, world: World) -> None:
    for path in ("/payment/0198f3a2-7c1e-7b52-9d40-1f6f0d1b2c3d", "/payment/no-es-un-id", "/nadie"):
        response = await phone.open(world.base_url + path)
        assert response.status == 404
        assert await phone.title() == "No encontramos esta página"


async def test_a_live_charge_without_a_gateway(phone: Phone, world: World) -> None:
    live = await world.merchant(live=True)
    await phone.open(link(await live.invoice()))
    words = await phone.words()
    assert "Por ahora no se puede pagar en línea" in words
    assert "Hablar con" in words
    assert "Modo de prueba" not in words
    assert await phone.tab.locator("form").count() == 0
    assert await world.findings(live.account_id) == []


# Back to the merchant.


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[str, list[str]]]:
    """The merchant's own site: its address, and the addresses that were asked for."""
    asked: list[str] = []

    async def answer(received: web.Request) -> web.Response:
        asked.append(str(received.url))
        return web.Response(text="<!doctype html><title>Tienda</title>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/gracias", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    try:
        yield f"http://127.0.0.1:{port}/gracias", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("outcome", ["approve", "pending_then_approve"])
async def test_after_paying_the_browser_goes_back_to_the_merchant(
    phone: Phone, client: Client, world: World, outcome: str
) -> None:
    async with shop() as (address, asked):
        payment = await request(client, amount=20000, redirect_url=f"{address}?pedido=7")
        await phone.open(link(payment))
        await phone.field("Resultado de la prueba").select_option(outcome)
        await phone.tab.locator(PAYMENT_BUTTON).click()
        if outcome != "approve":
            await phone.wait_for("payment-in_progress")
            await client.advance_clock(seconds=60)
            await world.drain()
            await phone.hear_from_bank()
        await phone.tab.wait_for_url(f"{address}?*", timeout=25_000)
        assert parse_qs(urlsplit(asked[0]).query) == {
            "pedido": ["7"],
            "payment_id": [payment["id"]],
            "status": ["approved"],
        }
        # Whoever opens the link later is not sent away from the receipt.
        await phone.open(link(payment))
        assert await phone.title() == "Pago recibido"
        back = phone.tab.get_by_role("link", name="Volver a Comercio")
        assert (await back.get_attribute("href") or "").startswith(f"{address}?pedido=7&payment_id=")


# The form itself.


async def test_paying_needs_no_cookies(phone: Phone, client: Client) -> None:
    await phone.open(link(await client.invoice(amount=100000, partial_payment_config=PARTS)))
    await phone.tab.context.clear_cookies()
    await phone.pay(amount="30000")
    assert "Recibimos su pago. Gracias." in await phone.words()


async def test_a_form_that_no_longer_counts_works_after_loading_again(
    phone: Phone, client: Client, world: World
) -> None:
    await phone.open(link(await client.invoice()) + "?lang=en")
    await phone.tab.evaluate("document.querySelector('[name=_csrf_token]').value = 'of a server key before'")
    await phone.send()
    assert await phone.title() == "The page was open too long"
    assert await attempts_of(world, client) == 0
    await phone.press("Load again")
    await phone.send()
    assert await phone.title() == "Payment received"


async def test_a_form_of_another_site_pays_nothing(phone: Phone, client: Client, world: World) -> None:
    path = path_of(await client.invoice())
    page = await Visitor(world.session, world.base_url).get(path)
    await phone.open(world.base_url + path)
    fields = "".join(f'<input name="{n}" value="{v}">' for n, v in page.document.fields.items())
    html = f'<!doctype html><form method="post" action="{world.base_url}{path}">{fields}<button>Premio</button></form>'
    await phone.tab.route("http://premios.example/", lambda r: r.fulfill(body=html, content_type="text/html"))
    await phone.tab.goto("http://premios.example/")
    async with phone.tab.expect_response(world.base_url + path) as answered:
        await phone.tab.get_by_role("button").click()
    assert (await answered.value).status == 403
    assert await attempts_of(world, client) == 0


async def test_pressing_many_times_pays_once(phone: Phone, client: Client, world: World) -> None:
    await phone.open(link(await client.invoice()))
    button = phone.tab.locator(PAYMENT_BUTTON)
    async with phone.tab.expect_navigation():
        await button.dblclick(no_wait_after=True)
    await phone.wait_for("payment-paid")
    assert await attempts_of(world, client) == 1


async def test_two_phones_that_pay_at_once_both_see_the_receipt(
    new_phone: NewPhone, client: Client, world: World
) -> None:
    invoice = await client.invoice()
    phones = [await new_phone(), await new_phone(scripts=False)]
    for phone in phones:
        await phone.open(link(invoice))
    await asyncio.gather(*[phone.send() for phone in phones])
    for phone in phones:
        # Who comes second may be told for a moment that the first one's payment is under way.
        await phone.wait_for("payment-paid")
    assert (await client.get(f"/v1/invoices/{invoice['id']}")).json["status"] == "PAID"


async def test_going_back_after_paying_shows_the_receipt(phone: Phone, client: Client, world: World) -> None:
    await phone.open(link(await client.invoice()))
    await phone.send()
    await phone.tab.go_back()
    await phone.wait_for("payment-paid")
    assert await attempts_of(world, client) == 1


# Language, keyboard, screen readers, hostile text.


async def test_the_language_can_be_changed_and_stays(phone: Phone, client: Client) -> None:
    await phone.open(link(await client.invoice(due_date="2027-10-20")))
    await phone.press("English")
    assert "Due on October 20, 2027" in await phone.words()
    await phone.send()
    assert await phone.title() == "Payment received"
    await phone.press("Español")
    assert await phone.title() == "Pago recibido"


async def test_the_keyboard_alone_is_enough(phone: Phone, client: Client) -> None:
    invoice = await client.invoice(
        amount=100000, partial_payment_config=PARTS, document_url="https://example.com/1.pdf"
    )
    await phone.open(link(invoice))
    keys = phone.tab.keyboard
    reached: list[str] = []
    for _ in range(7):
        await keys.press("Tab")
        focused = "(({ id, name, tagName, className }) => id || name || className || tagName)(document.activeElement)"
        reached.append(await phone.tab.evaluate(focused))
        if reached[-1] == "choice-full":
            await keys.press("ArrowDown")
    assert reached[:2] == ["language", "A"]
    assert reached[2:6] == ["choice-full", "amount", "method-1", "outcome"]
    await phone.field("Valor que va a pagar").focus()
    await keys.type("30000")
    async with phone.tab.expect_navigation():
        await keys.press("Enter")
    if not phone.scripts:
        assert await phone.title() == "Confirme su pago"
        await phone.tab.locator(PAYMENT_BUTTON).focus()
        async with phone.tab.expect_navigation():
            await keys.press("Enter")
    assert "Ya pagó $ 30.000 de $ 100.000" in await phone.words()


async def test_a_screen_reader_hears_every_control_by_name(phone: Phone, client: Client) -> None:
    await phone.open(link(await client.invoice(amount=100000, partial_payment_config=PARTS, name="Pensión")))
    for role, name in [
        ("heading", "Pensión"),
        ("group", "¿Cuánto quiere pagar?"),
        ("radio", "Todo el saldo $ 100.000"),
        ("radio", "Una parte Entre $ 20.000 y $ 80.000"),
        ("group", "¿Cómo quiere pagar?"),
        ("radio", "PSE Desde su cuenta, en la página de su banco"),
        ("combobox", "Resultado de la prueba"),
        ("button", "Pagar $ 100.000"),
        ("link", "English"),
        ("link", "Buscar otros cobros por pagar"),
        ("main", ""),
    ]:
        found = phone.tab.get_by_role(role, name=name, exact=bool(name))  # pyright: ignore[reportArgumentType]
        assert await found.count() == 1, (role, name)
    await phone.pay(amount="1")
    amount = phone.field("Valor que va a pagar")
    assert await amount.get_attribute("aria-invalid") == "true"
    described = (await amount.get_attribute("aria-describedby") or "").split()
    told = [await phone.tab.locator(f"#{name}").inner_text() for name in described]
    assert any("Ese valor es muy bajo." in text for text in told)
    assert (await phone.tab.title()).startswith("Error: ")


async def test_a_sum_is_never_broken_in_two(new_phone: NewPhone, client: Client) -> None:
    phone = await new_phone(viewport={"width": 320, "height": 640})
    for amount in (5000, 100000, 9999999, 99999000):
        await phone.open(link(await client.invoice(amount=amount, partial_payment_config={"min_amount": 2000})))
        for place in (".amount", ".choice-sum", "button .says-full"):
            heights = "(e) => [e.getBoundingClientRect().height, parseFloat(getComputedStyle(e).fontSize)]"
            height, font_size = await phone.tab.locator(place).evaluate(heights)
            assert height < 2 * font_size, (amount, place)


HOSTILE = "<img src=x onerror=alert(1)>\" onload='x' \u202egpj.exe " + "Supercalifragilistico" * 3


@pytest.mark.parametrize("width", [320, 360])
async def test_hostile_names_do_no_harm(new_phone: NewPhone, world: World, width: int) -> None:
    client = await world.merchant()
    await world.rows("UPDATE merchant SET name = $1, support_contact = $1 WHERE slug = $2", HOSTILE, client.slug)
    phone = await new_phone(viewport={"width": width, "height": 640})
    phone.tab.on("dialog", lambda dialog: phone.complaints.append(dialog.message))
    invoice = await client.invoice(name=HOSTILE[:100], description=HOSTILE * 3, reference="HOSTIL")
    await phone.open(f"{world.base_url}/{client.slug}/test")
    await phone.field("Referencia o documento").fill("HOSTIL")
    await phone.send()
    await phone.open(link(invoice))
    words = await phone.words()
    assert "<img src=x onerror=alert(1)>" in words
    assert "\u202e" not in words
    await phone.pay("decline")
    await phone.pay("pending_then_approve")
    await phone.press("Actualizar ahora")
    await client.delete(f"/v1/invoices/{invoice['id']}")
    await phone.open(link(invoice))
    assert await phone.tab.locator("img").count() == 0
    assert await world.findings(client.account_id) == []
