"""OnePay's webhook endpoints: bodies, operations and answers (specification, section 13)."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from recaudo.dialects.onepay import render
from recaudo.dialects.onepay.fields import text, whole
from recaudo.dialects.onepay.queries import parse_list
from recaudo.dialects.onepay.reading import Field, InvalidError, Reading, read_changed, read_created
from recaudo.dialects.onepay.webhooks import TYPES, WORDS
from recaudo.domain.delivering import DeliveryState, Endpoint
from recaudo.domain.model import Account
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.contacts import is_url
from recaudo.store import deliveries, endpoints
from recaudo.store.deliveries import DeliveryView
from recaudo.usecases import webhooks
from recaudo.usecases.core import Core, Done, Once
from recaudo.usecases.webhooks import NewEndpoint, Place

DIALECT = "onepay"
URL_CHARS_MAX = 500
OVERLAP_HOURS_MAX = 168
OVERLAP_HOURS_DEFAULT = 24
DELIVERIES_SHOWN = 20


def url(reading: Reading, path: str, value: object) -> str | None:
    """An http or https address of at most 500 characters, without a user name."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if len(trimmed) <= URL_CHARS_MAX and trimmed.isprintable() and is_url(trimmed) and _is_plain(trimmed):
        return trimmed
    reading.refuse(
        path,
        f"La URL {path} debe empezar por https://, tener un host, no llevar usuario y tener máximo {URL_CHARS_MAX} "
        "caracteres.",
    )
    return None


def _is_plain(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.username is None and parts.password is None and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def types(reading: Reading, path: str, value: object) -> tuple[str, ...] | None:
    """One or more event types that exist; repeats are merged."""
    if not isinstance(value, list) or not value:
        reading.refuse(path, f"El campo {path} debe ser una lista con al menos un tipo de evento.")
        return None
    found: dict[str, None] = {}
    for index, item in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        word = item.strip() if isinstance(item, str) else ""
        if word in TYPES:
            found[word] = None
        else:
            reading.refuse(f"{path}.{index}", f"El evento {path}.{index} no existe. Use uno de: {', '.join(TYPES)}.")
    return tuple(found)


_ENDPOINT = (
    Field("name", "name", text(1, 255), required=True),
    Field("description", "description", text(1, 500, lines=True)),
    Field("url", "url", url, required=True),
    Field("events", "types", types, required=True),
)
_NAMES = frozenset(field.name for field in _ENDPOINT)


async def parse_create(body: Mapping[str, Any], account: Account, policy: UrlPolicy) -> tuple[NewEndpoint, list[str]]:
    """The endpoint that POST /webhooks asks for, and ignored members. Raises InvalidError."""
    reading = Reading(account, date.min)
    values = read_created(reading, _ENDPOINT, body)
    await _check_url(reading, values.get("url"), policy)
    reading.ignore_unknown(body, _NAMES)
    reading.finish(_ENDPOINT)
    return (
        NewEndpoint(
            dialect=DIALECT,
            name=values["name"],
            description=values.get("description"),
            url=values["url"],
            types=values["types"],
        ),
        reading.ignored,
    )


async def parse_change(
    body: Mapping[str, Any], account: Account, policy: UrlPolicy
) -> tuple[dict[str, Any], list[str]]:
    """What PUT /webhooks/{id} changes, and ignored members. Raises InvalidError."""
    reading = Reading(account, date.min)
    values = read_changed(reading, _ENDPOINT, body)
    await _check_url(reading, values.get("url"), policy)
    reading.ignore_unknown(body, _NAMES)
    reading.finish(_ENDPOINT)
    return values, reading.ignored


def parse_rotate(body: Mapping[str, Any] | None, account: Account) -> tuple[timedelta, list[str]]:
    """How long the old secret signs too, and ignored members. Raises InvalidError."""
    reading = Reading(account, date.min)
    value = (body or {}).get("overlap_hours")
    hours = OVERLAP_HOURS_DEFAULT if value is None else whole(value)
    if hours is None or not 0 <= hours <= OVERLAP_HOURS_MAX:
        reading.refuse("overlap_hours", f"El campo overlap_hours debe ser un número entero de 0 a {OVERLAP_HOURS_MAX}.")
        hours = 0
    reading.ignore_unknown(body or {}, {"overlap_hours"})
    reading.finish(())
    return timedelta(hours=hours), reading.ignored


async def _check_url(reading: Reading, address: str | None, policy: UrlPolicy) -> None:
    if address is None:
        return
    if not policy.allows_scheme(address, is_test=reading.account.is_test):
        reading.refuse("url", "La URL url debe empezar por https:// (solo las cuentas de prueba pueden usar http://).")
    elif not await policy.allows_host(address):
        reading.refuse("url", "La URL url no puede apuntar a una red privada o local.")


def shown(it: Endpoint, *, is_test: bool, with_secret: bool) -> dict[str, Any]:
    """An endpoint as OnePay prints it; the secret only in the answers that make it."""
    return {
        "id": str(it.id),
        "name": it.name,
        "description": it.description,
        "url": it.url,
        "events": list(it.types),
        **({"secret": it.secret} if with_secret else {}),
        "header": it.token,
        "is_test": is_test,
        "created_at": render.instant(it.created_at),
        "updated_at": render.instant(it.updated_at),
    }


_STATUS = {
    DeliveryState.WAITING: "pending",
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.FAILED: "failed",
    DeliveryState.DROPPED: "failed",
}


def _shown_delivery(it: DeliveryView) -> dict[str, Any]:
    return {
        "id": str(it.id),
        "event_id": render.event_name(it.event_id),
        "type": it.body_type or WORDS.get(it.type, it.type),
        "status": _STATUS[it.state],
        "tries": it.tries,
        "http_status": it.http_status,
        "next_try_at": render.optional_instant(it.next_try_at),
        "created_at": render.instant(it.created_at),
    }


class EndpointActions:
    """What the dialect's webhook routes do, over one core."""

    def __init__(self, core: Core, policy: UrlPolicy) -> None:
        self._core = core
        self._policy = policy

    async def create(self, account: Account, body: Mapping[str, Any], once: Once | None) -> tuple[Done, Sequence[str]]:
        """A new endpoint; a body with errors under a key that was used meets the key first."""
        try:
            command, ignored = await parse_create(body, account, self._policy)
        except InvalidError:
            known = await webhooks.replay_known(self._core, account, once)
            if known is None:
                raise
            return known, ()

        def respond(made: Endpoint) -> tuple[int, bytes]:
            return 201, _data(shown(made, is_test=account.is_test, with_secret=True))

        return await webhooks.create(self._core, account, command, respond, once=once), ignored

    async def change(
        self, account: Account, endpoint_id: UUID, body: Mapping[str, Any], once: Once | None
    ) -> tuple[Done, Sequence[str]]:
        """Change an endpoint: what exists is known before what is wrong with the body is told."""
        known = await webhooks.replay_known(self._core, account, once)
        if known is not None:
            return known, ()
        await webhooks.find(self._core, account, endpoint_id, dialect=DIALECT)
        values, ignored = await parse_change(body, account, self._policy)

        def respond(changed: Endpoint) -> tuple[int, bytes]:
            return 200, _data(shown(changed, is_test=account.is_test, with_secret=False))

        done = await webhooks.change(
            self._core, account, endpoint_id, lambda _: values, respond, dialect=DIALECT, once=once
        )
        return done, ignored

    async def rotate(
        self, account: Account, endpoint_id: UUID, body: Mapping[str, Any] | None, once: Once | None
    ) -> tuple[Done, Sequence[str]]:
        """Give an endpoint a new secret."""
        ignored: list[str] = []

        def overlap() -> timedelta:
            span, unknown = parse_rotate(body, account)
            ignored.extend(unknown)
            return span

        def respond(changed: Endpoint) -> tuple[int, bytes]:
            return 200, _data(shown(changed, is_test=account.is_test, with_secret=True))

        done = await webhooks.rotate(self._core, account, endpoint_id, overlap, respond, dialect=DIALECT, once=once)
        return done, ignored

    async def delete(self, account: Account, endpoint_id: UUID, once: Once | None) -> Done:
        """Remove an endpoint."""
        return await webhooks.delete(self._core, account, endpoint_id, dialect=DIALECT, once=once)

    async def send_sample(self, account: Account, endpoint_id: UUID, base_url: str, once: Once | None) -> Done:
        """Queue an invented event."""

        def respond(delivery_id: UUID) -> tuple[int, bytes]:
            return 200, _data({"delivery_id": str(delivery_id)})

        place = Place(dialect=DIALECT, base_url=base_url)
        return await webhooks.send_sample(self._core, account, endpoint_id, place, respond, once=once)

    async def detail(self, account: Account, endpoint_id: UUID) -> dict[str, Any]:
        """An endpoint with its newest deliveries."""
        found = await webhooks.find(self._core, account, endpoint_id, dialect=DIALECT)
        async with self._core.database.connection() as connection:
            newest = await deliveries.list_deliveries(
                connection, account.id, endpoint_id=endpoint_id, limit=DELIVERIES_SHOWN
            )
        answer = shown(found, is_test=account.is_test, with_secret=False)
        return {"data": answer | {"deliveries": [_shown_delivery(d) for d in newest]}}

    async def page(self, account: Account, query: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], Sequence[str]]:
        """One page of endpoints, and the parameters that were not understood."""
        wanted, filters, ignored = parse_list(query, "webhooks")
        async with self._core.database.connection() as connection:
            found = await endpoints.list_endpoints(
                connection, account.id, wanted, {**filters, "dialect": [DIALECT]}, self._core.vault
            )
        rows = [shown(e, is_test=account.is_test, with_secret=False) for e in found.items]
        return render.page(rows, found, number=wanted.page, per_page=wanted.per_page), ignored


def _data(it: Mapping[str, Any]) -> bytes:
    return render.encode({"data": it})
