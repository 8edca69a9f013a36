"""From a change to a receiver: what is told, in which order, with which headers, and what becomes of it."""

from typing import Any

from tests.receiver import Receiver, receiving
from tests.world import Client, World

ALL = ["invoice.created", "payment.created", "payment.approved", "invoice.paid", "invoice.deleted", "payment.deleted"]


async def listen(client: Client, receiver: Receiver, *types: str, path: str = "/hooks") -> dict[str, Any]:
    """Register a receiver for some types and return the endpoint with its secret."""
    body = {"name": "ERP", "url": receiver.url + path, "events": list(types or ALL)}
    answer = await client.post("/v1/webhooks", body)
    assert answer.status == 201, answer.json
    return answer.json["data"]


async def test_a_paid_invoice_is_told_in_the_order_it_happened(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver)
        invoice = await client.invoice()
        await client.pay(invoice["payment_id"])
        await world.drain()
        assert receiver.types == ["invoice.created", "payment.created", "payment.approved", "invoice.paid"]
        print(receiver.received[-1].body, receiver.received[-1].headers)
