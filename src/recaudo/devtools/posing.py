"""Posing as an endpoint's server: requests to a developer's program, made and signed by the dialect's own code."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from recaudo.dialects.onepay.webhooks import OnePayWebhooks
from recaudo.dialects.recaudo.render import event_name
from recaudo.dialects.recaudo.webhooks import SECRET_PREFIX, OwnWebhooks
from recaudo.dialects.treli.webhooks import TreliWebhooks
from recaudo.domain.delivering import Endpoint, Try
from recaudo.usecases.ports import Clock, Headers, Message, WebhookDialect
from recaudo.worker.sender import Sender

_ALL: Sequence[WebhookDialect] = (OnePayWebhooks(), TreliWebhooks(), OwnWebhooks())
DIALECTS: Mapping[str, WebhookDialect] = {it.name: it for it in _ALL}
AT_ONCE_MAX = 8
_NOBODY = UUID(int=0)


class ToolError(Exception):
    """What a tool cannot do, in a sentence for the developer."""


class Delivery(msgspec.Struct, frozen=True):
    """One request: everything but where it goes. `event_id` is what the receiver reads, in a header or the body."""

    headers: Headers
    body: bytes
    event_id: str


def open_sender() -> Sender:
    """What sends: as the server does, but into private networks too, for that is where developers work."""
    return Sender(allow_private_networks=True, connections_max=AT_ONCE_MAX)


def check_url(url: str, option: str) -> None:
    """Raises ToolError for what is no address of an HTTP server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        good = False
    if not good:
        raise ToolError(f"{option} is {url[:100]!r}; it must look like http://127.0.0.1:3000/hooks.")


class Poser:
    """An endpoint that exists nowhere, at the developer's address. Secrets are made unless given."""

    def __init__(
        self, dialect: WebhookDialect, url: str, clock: Clock, *, secret: str | None, token: str | None
    ) -> None:
        self.dialect = dialect
        self.url = url
        self.clock = clock
        made_secret, made_token = dialect.new_secrets()
        self.secret = made_secret if secret is None else secret
        self.token = made_token if token is None else token
        self._check()
        now = clock.now()
        self._endpoint = Endpoint(
            account_id=_NOBODY,
            id=_NOBODY,
            dialect=dialect.name,
            name="developer",
            description=None,
            url=url,
            types=(),
            secret=self.secret,
            token=self.token,
            created_at=now,
            updated_at=now,
        )

    def delivery(self, message: Message, *, age_s: int = 0, secrets: Sequence[str] | None = None) -> Delivery:
        """A try of `age_s` seconds ago, signed with the endpoint's secret, or with others, newest first."""
        tried_s = int(self.clock.now().timestamp()) - age_s
        signing = (self.secret,) if secrets is None else secrets
        headers = self.dialect.headers(message, self._endpoint, signing, tried_s)
        return Delivery(headers, message.body, event_name(message.event_id))

    async def post(self, sender: Sender, delivery: Delivery) -> Try:
        """Send it now."""
        return await sender.send(self.clock.now(), self.url, delivery.headers, delivery.body)

    def _check(self) -> None:
        if not self.secret or not self.secret.isascii() or not self.secret.isprintable() or " " in self.secret:
            raise ToolError("--secret must be the endpoint's secret, as it was shown when the endpoint was made.")
        if not self.token.isascii() or not self.token.isprintable():
            raise ToolError("--token must be the endpoint's token, as it was shown when the endpoint was made.")
        if self.dialect.name == "recaudo":
            try:
                known = self.secret.startswith(SECRET_PREFIX) and base64.b64decode(
                    self.secret.removeprefix(SECRET_PREFIX), validate=True
                )
            except binascii.Error:
                known = False
            if not known:
                raise ToolError("--secret must be whsec_ and base64: secrets of the dialect recaudo look like that.")
