"""The Treli dialect as the edge sees it: its routes, its keys, its answers to what goes wrong.

It is mounted twice: with the routes that Treli's clients know, and below /recaudo/v1 with those that only this server
has (section 14). The second mount speaks the same: only the key may come by either scheme.
"""

from collections.abc import Sequence

from recaudo.dialects.treli.calls import DIALECT
from recaudo.dialects.treli.errors import (
    KEY_FIELDS,
    KEY_MESSAGE,
    PROBLEMS,
    QUERY_TOO_LONG_MESSAGE,
    REFUSALS,
    ROUTE_MESSAGE,
    FieldError,
    error_reply,
    validation_reply,
)
from recaudo.dialects.treli.queries import CURSOR, CURSOR_MESSAGE
from recaudo.dialects.treli.reading import InvalidError
from recaudo.dialects.treli.routes import REFUSALS as NOUN_REFUSALS, Operations, register_routes, routes
from recaudo.domain.states import RefusedError
from recaudo.edge.auth import read_basic, read_either
from recaudo.edge.bodies import differences
from recaudo.edge.http import Reply
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Router
from recaudo.store.lists import UnknownCursorError
from recaudo.usecases.core import Core, KeyReusedError, NotFoundError

BASIC_CHALLENGE = ("WWW-Authenticate", 'Basic realm="recaudo", charset="UTF-8"')
BEARER_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="recaudo"')


class Treli:
    """Treli's v1 API."""

    name = DIALECT
    key_headers: Sequence[bytes] = tuple(name.encode("ascii") for name in KEY_FIELDS)
    challenges: Sequence[tuple[str, str]] = (BASIC_CHALLENGE,)

    def __init__(self, core: Core) -> None:
        self.router = Router(routes(Operations(core)))

    def read_keys(self, authorization: bytes | None) -> Sequence[str]:
        """The keys of `Basic base64(key:)` (1.2). Raises Problem UNAUTHENTICATED."""
        scheme, _, credentials = (authorization or b"").partition(b" ")
        if scheme.lower() != b"basic":
            raise Problem(ProblemKind.UNAUTHENTICATED)
        return read_basic(credentials)

    def refuse(self, problem: Problem, request_id: str) -> Reply:
        """The answer to a problem found before the operation ran."""
        headers = list(problem.headers)
        match problem.kind:
            case ProblemKind.UNAUTHENTICATED:
                return error_reply("unauthenticated", headers=[*headers, *self.challenges])
            case ProblemKind.KEY_MALFORMED | ProblemKind.KEY_MISSING:
                field = KEY_FIELDS.get(problem.about or "", "Idempotency-Key")
                return validation_reply([FieldError(field, KEY_MESSAGE)])
            case ProblemKind.QUERY_TOO_LONG:
                return validation_reply([FieldError("query", QUERY_TOO_LONG_MESSAGE)])
            case ProblemKind.ROUTE_NOT_FOUND:
                return error_reply("not_found", message=ROUTE_MESSAGE, headers=headers)
            case ProblemKind.BODY_TOO_LARGE:
                message = f"El cuerpo supera el límite de {problem.about}."
                return error_reply("body_too_large", message=message, headers=headers)
            case _:
                return error_reply(PROBLEMS[problem.kind], headers=headers)

    def answer_error(self, error: Exception, request: ApiRequest) -> Reply | None:
        """The answer to an error that an operation raised."""
        match error:
            case InvalidError():
                return validation_reply(error.errors)
            case UnknownCursorError():
                return validation_reply([FieldError(CURSOR, CURSOR_MESSAGE)])
            case NotFoundError():
                return error_reply("not_found")
            case KeyReusedError():
                return _key_reused(error)
            case RefusedError() if error.refusal in REFUSALS:
                return error_reply(REFUSALS[error.refusal])
            case _:
                return next((reply for refused in NOUN_REFUSALS if (reply := refused(error)) is not None), None)


class TreliRegisters(Treli):
    """Retentions and rules of reminders, below /recaudo/v1."""

    challenges: Sequence[tuple[str, str]] = (BEARER_CHALLENGE, BASIC_CHALLENGE)

    def __init__(self, core: Core) -> None:
        self.router = Router(register_routes(Operations(core)))
        self._nouns = {route.tag for route in self.router.routes}

    def read_keys(self, authorization: bytes | None) -> Sequence[str]:
        """The keys of either scheme. Raises Problem UNAUTHENTICATED."""
        return read_either(authorization)

    def has(self, path: str) -> bool:
        """Whether a path below the mount is one of these."""
        return path.removeprefix("/").partition("/")[0] in self._nouns


def _key_reused(error: KeyReusedError) -> Reply:
    """409 that names every member that differs (section 2)."""
    found = differences(error.first, error.again)
    errors = [
        FieldError(path, f"El valor enviado ({sent}) difiere del original ({first}).") for path, first, sent in found
    ]
    return error_reply("idempotency_key_reused", errors=errors)
