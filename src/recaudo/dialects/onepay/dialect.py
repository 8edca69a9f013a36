"""The OnePay dialect as the edge sees it: its routes, its keys, its answers to what goes wrong."""

from collections.abc import Sequence

from recaudo.dialects.onepay import parse
from recaudo.dialects.onepay.errors import (
    KEY_FIELD,
    KEY_MESSAGES,
    PROBLEMS,
    QUERY_TOO_LONG_MESSAGE,
    REFUSALS,
    error_reply,
    validation_reply,
)
from recaudo.dialects.onepay.routes import Operations, routes
from recaudo.domain.states import Refusal, RefusedError
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.auth import read_bearer
from recaudo.edge.bodies import differences
from recaudo.edge.http import Reply
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Router
from recaudo.usecases.core import Core, KeyReusedError, NotFoundError, OriginTakenError
from recaudo.usecases.customers import DocumentTakenError
from recaudo.usecases.webhooks import TooManyEndpointsError

_NOUNS = {
    "invoices": "La factura no existe.",
    "payments": "El cobro no existe.",
    "payment-intents": "El intento de pago no existe.",
    "customers": "El cliente no existe.",
    "webhooks": "El webhook no existe.",
}


class OnePay:
    """OnePay's invoices, payments, payment intents, customers and webhooks."""

    name = "onepay"
    key_headers: Sequence[bytes] = (b"x-idempotency",)

    def __init__(self, core: Core, policy: UrlPolicy) -> None:
        self.router = Router(routes(Operations(core, policy)))

    def read_keys(self, authorization: bytes | None) -> Sequence[str]:
        """The key of `Bearer <key>` (1.2). Raises Problem UNAUTHENTICATED."""
        scheme, _, credentials = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            raise Problem(ProblemKind.UNAUTHENTICATED)
        return read_bearer(credentials)

    def refuse(self, problem: Problem, request_id: str) -> Reply:
        """The answer to a problem found before the operation ran."""
        headers = list(problem.headers)
        if problem.kind is ProblemKind.UNAUTHENTICATED:
            headers.append(("WWW-Authenticate", 'Bearer realm="recaudo"'))
        if problem.kind in KEY_MESSAGES:
            return validation_reply({KEY_FIELD: [KEY_MESSAGES[problem.kind]]})
        if problem.kind is ProblemKind.QUERY_TOO_LONG:
            return error_reply(
                "invalid_query", message=QUERY_TOO_LONG_MESSAGE, errors={"query": [QUERY_TOO_LONG_MESSAGE]}
            )
        return error_reply(PROBLEMS[problem.kind], headers=headers)

    def answer_error(self, error: Exception, request: ApiRequest) -> Reply | None:
        """The answer to an error that an operation raised."""
        match error:
            case parse.InvalidError():
                return validation_reply(error.errors)
            case parse.InvalidQueryError():
                message = " ".join(text for texts in error.errors.values() for text in texts)
                return error_reply("invalid_query", message=error.message or message, errors=error.errors)
            case NotFoundError():
                return error_reply("not_found", message=_NOUNS[request.route.tag])
            case KeyReusedError():
                return _key_reused(error)
            case OriginTakenError():
                return _origin_taken(error)
            case DocumentTakenError():
                return error_reply("customer_exists", existing_id=str(error.existing_id))
            case TooManyEndpointsError():
                return error_reply("webhook_limit")
            case RefusedError():
                return _refused(error, request)
            case _:
                return None


def _key_reused(error: KeyReusedError) -> Reply:
    """409 that names every member that differs (section 2)."""
    found = differences(error.first, error.again)
    errors = {path: [f"El valor enviado ({sent}) difiere del original ({first})."] for path, first, sent in found}
    names = ", ".join(errors)
    message = f"La llave de idempotencia ya se usó con otro contenido. Campos distintos: {names}."
    return error_reply("idempotency_key_reused", message=message, errors=errors)


def _origin_taken(error: OriginTakenError) -> Reply:
    message = f"Ya existe una factura de '{error.origin}' con provider_id '{error.origin_id}'."
    existing_id = None if error.existing_id is None else str(error.existing_id)
    return error_reply("invoice_exists", message=message, existing_id=existing_id)


def _refused(error: RefusedError, request: ApiRequest) -> Reply | None:
    if error.refusal is Refusal.PART_MINIMUM_ABOVE_AMOUNT:
        return validation_reply({"partial_payment_config.min_amount": ["El mínimo no puede superar el valor total."]})
    code_name = REFUSALS.get(error.refusal)
    if code_name is None:
        return None
    return error_reply(code_name, message=_NOUNS[request.route.tag] if code_name == "not_found" else None)
