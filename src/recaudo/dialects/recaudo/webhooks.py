"""Our own way of telling endpoints: the feed's events, signed as Standard Webhooks asks."""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from recaudo.dialects.recaudo import render
from recaudo.domain.delivering import Endpoint
from recaudo.domain.events import EVENT_TYPES
from recaudo.edge.ecmascript import stringify
from recaudo.store.events import Told
from recaudo.store.samples import invented
from recaudo.usecases.ports import Headers, Message

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix
SECRET_BYTES = 32


class OwnWebhooks:
    """Events in the core's words."""

    name = "recaudo"
    types: Mapping[str, str | None] = {type_: type_ for type_ in EVENT_TYPES}

    def new_secrets(self) -> tuple[str, str]:
        """A secret as Standard Webhooks writes it, and no token."""
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(), ""

    def body(self, told: Told, base_url: str) -> tuple[str, bytes]:
        """The event as the feed shows it."""
        return told.event.type, stringify(render.event(told))

    def sample(self, type_: str, base_url: str, now: datetime, *, is_test: bool, event_id: UUID) -> bytes:
        """An invented event about objects whose ids are all zeros."""
        return stringify(render.event(invented(type_, now, is_test=is_test, event_id=event_id)))

    def headers(self, message: Message, endpoint: Endpoint, secrets: Sequence[str], now_s: int) -> Headers:
        """The headers of one try."""
        event_id = render.event_name(message.event_id)
        return (
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", "Recaudo-Webhook/1"),
            ("Recaudo-Subject-Version", str(message.subject_version)),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(now_s)),
            ("webhook-signature", " ".join(_signature(s, event_id, now_s, message.body) for s in secrets)),
        )


def _signature(secret: str, event_id: str, now_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((event_id.encode(), str(now_s).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
