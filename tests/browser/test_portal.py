"""A merchant's portal in a real browser on a small phone, with and without JavaScript."""

import pytest

from recaudo.web import limits
from tests.browser.phone import Phone
from tests.web.visiting import Visitor, new_reference
from tests.world import Client, World

pytestmark = pytest.mark.browser

NUMBER = "Referencia o documento"


def portal(world: World, client: Client) -> str:
    return f"{world.base_url}/{client.slug}/test"


async def look_up(phone: Phone, number: str) -> None:
    await phone.field(NUMBER).fill(number)
    await phone.send()


async def test_a_payer_finds_a_charge_and_pays_it(phone: Phone, client: Client, world: World) -> None:
    reference = new_reference()
    await client.invoice(reference=reference, name="Mensualidad octubre", due_date="2025-10-01")
    await client.invoice(reference=reference, name="Mensualidad noviembre", due_date="2030-11-01")
    await phone.open(portal(world, client))
    await look_up(phone, f" {reference.lower()} ")
    words = await phone.words()
    assert "2 cobros por pagar" in words
    assert words.index("Mensualidad octubre") < words.index("Mensualidad noviembre")
    await phone.press("Mensualidad octubre")
    assert "Venció el 1 de octubre de 2025" in await phone.words()
    await phone.pay()
    assert await phone.title() == "Pago recibido"
    await phone.press("Buscar otros cobros por pagar")
    await look_up(phone, reference)
    words = await phone.words()
    assert "Un cobro por pagar" in words
    assert "Mensualidad octubre" not in words


async def test_a_miss_says_what_to_do(phone: Phone, client: Client, world: World) -> None:
    await phone.open(portal(world, client))
    await look_up(phone, "   ")
    assert "Escriba el número completo." in await phone.words()
    await look_up(phone, "no-existe")
    words = await phone.words()
    assert "No encontramos nada por pagar" in words
    assert "hola@ejemplo.com" in words
    assert await phone.field(NUMBER).input_value() == "no-existe"


async def test_too_many_look_ups_have_to_wait(phone: Phone, client: Client, world: World) -> None:
    await phone.open(portal(world, client))
    neighbour = Visitor(world.session, world.base_url)
    page = await neighbour.get(f"/{client.slug}/test")
    for number in range(int(limits.LOOKUPS.burst) + 1):
        await neighbour.submit(page, query=str(number))
    await look_up(phone, "1060500333")
    words = await phone.words()
    assert "Hizo muchas búsquedas seguidas. Espere" in words
    # The portal itself, and paying, stay open.
    await phone.open(portal(world, client))
    assert await phone.title() == "Consulte y pague"
    await phone.open((await client.invoice())["payment"]["payment_link"])
    await phone.pay()
    assert await phone.title() == "Pago recibido"


async def test_the_portal_speaks_english_too(phone: Phone, client: Client, world: World) -> None:
    reference = new_reference()
    await client.invoice(reference=reference)
    await phone.open(portal(world, client))
    await phone.press("English")
    await phone.field("Reference or document number").fill(reference)
    await phone.send()
    assert "One payment due" in await phone.words()
    await phone.press("Internet plan")
    assert "Total due" in await phone.words()


async def test_the_keyboard_alone_is_enough(phone: Phone, client: Client, world: World) -> None:
    reference = new_reference()
    await client.invoice(reference=reference)
    await phone.open(portal(world, client))
    keys = phone.tab.keyboard
    await keys.press("Tab")
    await keys.press("Tab")
    await keys.type(reference)
    async with phone.tab.expect_navigation():
        await keys.press("Enter")
    assert "Un cobro por pagar" in await phone.words()
    for _ in range(4):
        await keys.press("Tab")
    async with phone.tab.expect_navigation():
        await keys.press("Enter")
    assert await phone.page() == "payment-payable"
