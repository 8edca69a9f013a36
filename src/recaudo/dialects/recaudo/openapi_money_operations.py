"""What our own document says about operations on gateways, refunds and comparisons."""

from collections.abc import Mapping

from recaudo.dialects.recaudo import openapi_money_examples as examples
from recaudo.dialects.recaudo.openapi_parts import PAGING, answer, parameter, rows
from recaudo.edge.openapi import Content, Example, OperationDocs, ref

_REUSED = "idempotency_key_reused"


_GATEWAYS: Mapping[str, OperationDocs] = {
    "listGatewayKinds": OperationDocs(
        description="The gateways that this server can speak to, with the credentials that each asks for, the methods "
        "it offers and what it can do.",
        success="Every kind.",
        answer=answer("GatewayKindList", "One of them", rows(examples.KIND)),
    ),
    "createGateway": OperationDocs(
        description="Sets up a gateway of the account, one of each kind. Credentials of the other environment, or of "
        "two environments at once, are refused. Nothing is asked of the vendor: [verify](#verifyGateway) does that. "
        "Then **paste `notice_url` into the vendor's panel**, where it asks for the address of events or webhooks.\n\n"
        "Credentials are kept encrypted, and no answer shows them again.",
        status=201,
        success="The gateway, without its secrets.",
        answer=answer("Gateway", "A new gateway", examples.GATEWAY),
        body=Content(
            ref("GatewayCreate"),
            {
                "wompi": Example("Wompi, tried first", examples.WOMPI_REQUEST),
                "mercadopago": Example("Mercado Pago, cards only", examples.MERCADOPAGO_REQUEST),
            },
        ),
        errors=("gateway_kind_taken", "validation_error_gateway", "validation_error_kind", _REUSED),
        once_example="wompi-setup",
    ),
    "listGateways": OperationDocs(
        description="The account's gateways in the order in which they are tried, those that are switched off too.",
        success="All gateways.",
        answer=answer("GatewayList", "One gateway", rows(examples.VERIFIED_GATEWAY)),
    ),
    "getGateway": OperationDocs(
        description="One gateway. `last_problem` is why its credentials failed when they were last tried.",
        success="The gateway, without its secrets.",
        answer=answer("Gateway", "A gateway that works", examples.VERIFIED_GATEWAY),
        errors=("not_found_gateway",),
    ),
    "updateGateway": OperationDocs(
        description="Changes what is sent. Of `credentials` only those that are named are replaced, so one key can be "
        "rotated alone; `methods` is replaced as a whole. `notice_url` stays: [rotating it](#rotateNotices) is apart.",
        success="The gateway, without its secrets.",
        answer=answer("Gateway", "Switched off", examples.OFF_GATEWAY),
        body=Content(
            ref("GatewayChange"),
            {
                "off": Example("Switch it off", {"enabled": False}),
                "key": Example("A new private key", examples.CHANGED_REQUEST),
                "limits": Example("Cards only for small amounts", {"methods": examples.MERCADOPAGO_REQUEST["methods"]}),
            },
        ),
        errors=("not_found_gateway", "validation_error_gateway", _REUSED),
    ),
    "rotateNotices": OperationDocs(
        description="Gives a gateway another address for its notices, when the old one became known. Paste the new "
        "`notice_url` into the vendor's panel; for `overlap_hours` (24 unless sent) the old one goes on.",
        success="The gateway with its new address.",
        answer=answer("Gateway", "Its address is new", examples.GATEWAY),
        body=Content(ref("GatewayRotate"), {"calm": Example("Two days to change it", {"overlap_hours": 48})}),
        errors=("not_found_gateway", "validation_error_overlap", _REUSED),
    ),
    "deleteGateway": OperationDocs(
        description="Forgets the gateway, its credentials and the notices it sent. Receipts and attempts stay. Refused "
        "while something waits for its answer: switch it off instead, and remove it later.",
        status=204,
        success="Removed. No body.",
        errors=("not_found_gateway", "gateway_busy"),
    ),
    "verifyGateway": OperationDocs(
        description="Makes a call to the vendor that changes nothing, and says whether the credentials work and whose "
        "they are. 200 also when they do not: `ok` tells. The secret that signs notices cannot be tried this way; the "
        "first notice that arrives tries it.",
        success="What the call showed.",
        answer=answer(
            "GatewayVerdict",
            "They work",
            examples.VERIFIED,
            refused=Example("They do not", examples.NOT_VERIFIED),
        ),
        errors=("not_found_gateway",),
    ),
}

_REFUNDS: Mapping[str, OperationDocs] = {
    "startRefund": OperationDocs(
        description="Gives money of a receipt back. The refund is noted and answered at once, in state `created`; the "
        "worker gives it to the gateway within a second or so, and the events `refund.*` and [the "
        "refund](#getRefund) tell what came of it. What open refunds take is spoken for, so together they never give "
        "back more than arrived.\n\n"
        "Not every gateway gives money back over its API. What you gave back yourself, record here with `way` and "
        "`evidence`; it is booked at once. Say `panel` when it was in the vendor's panel: what the vendor has told us "
        "of it already is not booked twice. Say `elsewhere` for cash or another transfer.\n\n"
        "The invoice stays paid: to ask for the money again, [reopen](#reopenInvoice) it.",
        status=201,
        success="The refund.",
        answer=answer("Refund", "A part of a payment", examples.REFUND),
        body=Content(
            ref("RefundStart"),
            {
                "part": Example("A part", examples.REFUND_REQUEST),
                "whole": Example("All that is left", {"reason": "El servicio no se prestó"}),
                "panel": Example("Given back in the vendor's panel", examples.PANEL_REQUEST),
                "elsewhere": Example(
                    "Given back in cash",
                    {"reason": "Cobro duplicado", "way": "elsewhere", "evidence": "Recibo de caja 118, firmado"},
                ),
            },
        ),
        errors=(
            "not_found_receipt",
            "refund_above_receipt",
            "receipt_is_refund",
            "receipt_disputed",
            "refund_not_supported",
            "validation_error_refund",
            _REUSED,
        ),
        once_example="refund-1060500333",
    ),
    "listRefundsOfReceipt": OperationDocs(
        description="Every refund of a receipt, those that failed too.",
        success="The refunds.",
        answer=answer("RefundList", "One that is done", rows(examples.DONE_REFUND)),
        errors=("not_found_receipt",),
    ),
    "getRefund": OperationDocs(
        description="How far a refund is. While it is open, the gateway is asked again and again.",
        success="The refund.",
        answer=answer(
            "Refund",
            "The money went back",
            examples.DONE_REFUND,
            refused=Example("The gateway refused", examples.REFUSED_REFUND),
        ),
        errors=("not_found_refund",),
    ),
    "settleRefund": OperationDocs(
        description="Ends a refund that waits for an answer the gateway cannot give, for example because two refunds "
        "of one payment look the same to it. Look in the vendor's panel first. `succeeded` books the money as gone "
        "back, as far as it is not booked already; `failed` sets it free.",
        success="The refund, which has ended.",
        answer=answer("Refund", "The panel shows it", examples.DONE_REFUND),
        body=Content(
            ref("RefundSettle"),
            {"done": Example("It went back", {"state": "succeeded", "evidence": "Panel, devolución 8841"})},
        ),
        errors=("not_found_refund", "refund_not_open", "validation_error_settle", _REUSED),
    ),
    "reopenInvoice": OperationDocs(
        description="Asks again for what was paid and went back: the invoice is open again, with a new request to pay, "
        "due today, for what is owed and not asked for yet.",
        success="The invoice and the new request to pay.",
        answer=answer("Reopened", "2.000.000 cents are asked for again", examples.REOPENED),
        errors=("not_found_invoice", "invoice_void", "nothing_to_ask_for", _REUSED),
    ),
}

_COMPARING: Mapping[str, OperationDocs] = {
    "listSuspense": OperationDocs(
        description="Transactions that a gateway reports and that must not be booked by themselves: of a reference of "
        "ours that no attempt has, in another currency, or of the other environment. The money is real; a person must "
        "say what became of it. `recaudo doctor` reminds of them until then.",
        success="The entries.",
        answer=answer("SuspenseList", "One that waits", rows(examples.SUSPENSE)),
        query=(parameter("open", "`true`: only what waits for somebody.", {"type": "boolean", "default": False}),),
        errors=("invalid_query_open", "invalid_query_cursor"),
    ),
    "resolveSuspense": OperationDocs(
        description="Notes what became of it: which invoice it was registered on, or that it was given back. Nothing "
        "is booked by this. Doing it again corrects the text; `resolved_at` stays that of the first time.",
        success="The entry.",
        answer=answer("Suspense", "Resolved", examples.RESOLVED),
        body=Content(ref("SuspenseResolve"), {"registered": Example("Registered by hand", examples.RESOLVE_REQUEST)}),
        errors=("not_found_suspense", "validation_error_resolution"),
    ),
    "listReconciliations": OperationDocs(
        description="Each comparison of a gateway's own list of transactions with our receipts: made every day by the "
        "worker, and by `recaudo reconcile`. Money that the gateway had collected and nobody had told us is booked as "
        "it is found; everything else is for a person to look at.",
        success="A page of comparisons.",
        answer=answer("ReconciliationList", "One was mended, one is open", rows(examples.RECONCILIATION)),
        query=PAGING,
        errors=("invalid_query", "invalid_query_cursor"),
    ),
}

OPERATIONS: Mapping[str, OperationDocs] = {**_GATEWAYS, **_REFUNDS, **_COMPARING}
