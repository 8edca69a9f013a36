"""Our own additions as the edge sees them. Either authentication scheme opens them."""

import asyncio
from collections.abc import Sequence

from recaudo.dialects.recaudo import imports
from recaudo.dialects.recaudo.attempts import SILENT_S, STARTED_AGAIN_S, GatewaySilentError
from recaudo.dialects.recaudo.errors import (
    GATEWAY_SILENT,
    KIND_TAKEN,
    PRECISELY,
    PROBLEMS,
    REFUND_NOT_SUPPORTED,
    REFUSALS,
    InvalidError,
    InvalidFieldsError,
    InvalidQueryError,
    busy_message,
    error_reply,
    invalid_reply,
)
from recaudo.dialects.recaudo.feed import TooManyWaitingError
from recaudo.dialects.recaudo.receipts import refused
from recaudo.dialects.recaudo.routes import Operations, routes
from recaudo.domain.delivering import ENDPOINTS_MAX
from recaudo.domain.states import RefusedError
from recaudo.domain.undoing import NotUndoableError
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.auth import Authenticator, read_either
from recaudo.edge.http import Reply
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Router
from recaudo.usecases.attempts import GatewayNotAllowedError
from recaudo.usecases.core import Core, KeyReusedError, NotFoundError
from recaudo.usecases.gateways import (
    GatewayBusyError,
    InvalidCredentialsError,
    KindTakenError,
    UnknownKindError,
)
from recaudo.usecases.merchants import NotATestAccountError
from recaudo.usecases.refunds import RefundNotSupportedError
from recaudo.usecases.starting import StillStartingError
from recaudo.usecases.webhooks import TooManyEndpointsError


class Own:
    """Recaudo's own additions."""

    name = "recaudo"
    key_headers: Sequence[bytes] = (b"idempotency-key", b"x-idempotency")

    def __init__(
        self,
        core: Core,
        authenticator: Authenticator,
        policy: UrlPolicy,
        stop: asyncio.Event,
        *,
        import_bytes_max: int = imports.IMPORT_BYTES_MAX,
    ) -> None:
        operations = Operations(core, authenticator, policy, stop, import_bytes_max=import_bytes_max)
        self.router = Router(routes(operations))

    def read_keys(self, authorization: bytes | None) -> Sequence[str]:
        """The keys of `Bearer <key>` or `Basic base64(key:)`. Raises Problem UNAUTHENTICATED."""
        return read_either(authorization)

    def refuse(self, problem: Problem, request_id: str) -> Reply:
        """The answer to a problem found before the operation ran."""
        status, message = PROBLEMS[problem.kind]
        if problem.about is not None and problem.kind in PRECISELY:
            message = PRECISELY[problem.kind].format(problem.about)
        headers = list(problem.headers)
        if problem.kind is ProblemKind.UNAUTHENTICATED:
            headers.append(("WWW-Authenticate", 'Bearer realm="recaudo"'))
            headers.append(("WWW-Authenticate", 'Basic realm="recaudo", charset="UTF-8"'))
        return error_reply(status, problem.kind.value, message, headers=headers)

    def answer_error(self, error: Exception, request: ApiRequest) -> Reply | None:
        """The answer to an error that an operation raised."""
        match error:
            case InvalidError():
                return error_reply(422, "validation_error", str(error), field=error.field)
            case InvalidQueryError():
                return error_reply(400, "invalid_query", str(error), field=error.field)
            case KeyReusedError():
                return error_reply(409, "idempotency_key_reused", "The idempotency key was used with another body.")
            case TooManyEndpointsError():
                return error_reply(409, "webhook_limit", f"The account has {ENDPOINTS_MAX} webhooks in this dialect.")
            case TooManyWaitingError():
                headers = [("Retry-After", "1")]
                return error_reply(429, "too_many_waiting", "Too many requests of this account wait.", headers=headers)
            case NotFoundError():
                return error_reply(404, "not_found", "There is no such object.")
            case NotATestAccountError():
                return error_reply(403, "test_accounts_only", "Only test accounts can do this.")
            case GatewayNotAllowedError():
                return error_reply(409, "method_not_allowed_here", "This payment does not take that method.")
            case _:
                return _refusal(error)


def _refusal(error: Exception) -> Reply | None:
    """What the rules of money do not allow."""
    match error:
        case RefusedError():
            return error_reply(409, error.refusal.value, REFUSALS.get(error.refusal, error.refusal.value))
        case NotUndoableError():
            return refused(error)
        case _:
            return imports.answer(error) or _money_error(error)


def _money_error(error: Exception) -> Reply | None:
    """The answer to an error about gateways and refunds."""
    match error:
        case UnknownKindError(known=known):
            return error_reply(422, "validation_error", f"Must be one of {', '.join(known)}.", field="kind")
        case InvalidCredentialsError(problems=problems):
            return invalid_reply({_field(name): text for name, text in problems.items()})
        case KindTakenError():
            return error_reply(409, "gateway_kind_taken", KIND_TAKEN)
        case GatewayBusyError(waiting=waiting):
            return error_reply(409, "gateway_busy", busy_message(waiting))
        case RefundNotSupportedError():
            return error_reply(409, "refund_not_supported", REFUND_NOT_SUPPORTED)
        case _:
            return _starting_error(error)


def _starting_error(error: Exception) -> Reply | None:
    """The answer to an error about an attempt that is to be started."""
    match error:
        case InvalidFieldsError(problems=problems):
            return invalid_reply(problems)
        case GatewaySilentError():
            headers = [("Retry-After", str(SILENT_S))]
            return error_reply(503, "gateway_silent", GATEWAY_SILENT, headers=headers)
        case StillStartingError():
            kind = ProblemKind.KEY_IN_PROGRESS
            status, message = PROBLEMS[kind]
            return error_reply(status, kind.value, message, headers=[("Retry-After", str(STARTED_AGAIN_S))])
        case _:
            return None


def _field(name: str) -> str:
    """Where a body says what a gateway's check complains of."""
    return name if name == "methods" else f"credentials.{name}"
