"""Following the feed of events over HTTP, through restarts of the server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Self

import aiohttp
import msgspec

from recaudo.devtools.posing import ToolError

WAIT_S = 30
# Beyond what the server waits.
PATIENCE_S = 15
AGAIN_S = 2.0
PAGE_MAX = 100


class AwayError(Exception):
    """The server cannot answer now; asking again helps."""


class Follower:
    """Reads an account's feed, oldest first. Used inside `async with`.

    `tell` gets a sentence when the server goes away and when it is back. The cursor is kept, so nothing is missed.
    """

    def __init__(
        self, url: str, key: str, *, types: Sequence[str], dialect: str | None, tell: Callable[[str], None]
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._tell = tell
        self._query = {"limit": str(PAGE_MAX)}
        if types:
            self._query["type"] = ",".join(types)
        if dialect is not None:
            self._query["dialect"] = dialect
        self._session: aiohttp.ClientSession | None = None
        self._away = False

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S + PATIENCE_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def events(self, *, from_start: bool, started: Callable[[], None]) -> AsyncIterator[Mapping[str, Any]]:
        """Every event from now on, or from the first one; `started` is called once the place is known."""
        if from_start:
            page = await self._ask({"wait": "0"})
        else:
            page = await self._ask({"wait": "0", "cursor": "end"})
        started()
        while True:
            for event in page["data"]:
                yield event
            page = await self._ask({"wait": str(WAIT_S), "cursor": page["next_cursor"]})

    async def _ask(self, more: Mapping[str, str]) -> Mapping[str, Any]:
        """One page, however long it takes the server to come back. Raises ToolError when asking again is no use."""
        while True:
            try:
                page = await self._get({**self._query, **more})
            except (AwayError, aiohttp.ClientError, OSError, TimeoutError) as error:
                if not self._away:
                    self._tell(f"{self._url} is away ({_reason(error)}). Trying again every {AGAIN_S:.0f} seconds.")
                self._away = True
                await asyncio.sleep(AGAIN_S)
            else:
                if self._away:
                    self._tell(f"{self._url} is back.")
                self._away = False
                return page

    async def _get(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        assert self._session is not None, "used inside `async with`"
        url, headers = f"{self._url}/recaudo/v1/events", {"Authorization": f"Bearer {self._key}"}
        async with self._session.get(url, params=query, headers=headers, allow_redirects=False) as response:
            status, body = response.status, await response.read()
        if status == 429 or status >= 500:
            raise AwayError(f"it answered {status}")
        if status == 401:
            raise ToolError("The server does not know this key. Give a secret key of the account with --key.")
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError:
            answer = None
        if status == 200 and isinstance(answer, dict) and "next_cursor" in answer:
            return answer  # pyright: ignore[reportUnknownVariableType] - what our own server documents
        raise ToolError(self._refusal(status, answer))

    def _refusal(self, status: int, answer: Any) -> str:  # noqa: ANN401 - anything JSON
        text = answer.get("message") if isinstance(answer, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(text, str) and status != 404:
            return f"The server answered {status}: {text[:300]}"
        return f"{self._url} answered {status}, as no Recaudo server does. Give the server's address with --url."


def _reason(error: Exception) -> str:
    match error:
        case AwayError():
            return str(error)
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorError():
            return f"no connection: {error.os_error.strerror or error.os_error}"
        case _:
            return "the connection broke off"
