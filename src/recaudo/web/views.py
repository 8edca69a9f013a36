"""What each page for a payer shows, as frozen data: the contract between the routes and the templates.

A view holds facts and finished money labels; words come from the catalogs by the kinds named here. Nothing is in a
view that the payer must not see, so nothing can leak through a template.

Addresses: `page_path` is the path of the page itself without a query. It carries the language switch and the
refresh, which both must be a GET, also when the page was the answer to a POST.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, Literal

from recaudo.domain.payers import Detail, DocumentType
from recaudo.web.i18n import Language

PaymentState = Literal[
    "payable", "in_progress", "paid", "settled", "refunded", "superseded", "expired", "partial_expired", "cancelled"
]
AmountKind = Literal["full_only", "parts", "open"]
MethodKind = Literal[
    "pse", "card", "nequi", "daviplata", "bancolombia", "bancolombia_qr", "breb", "cash", "sandbox", "other"
]
OutcomeId = Literal[
    "approve", "decline", "pending_then_approve", "never_answer", "approve_twice", "settle_after_replacement"
]
AmountError = Literal["missing", "unreadable", "cents", "too_small", "too_large", "leaves_rest"]
FailureKind = Literal[
    "insufficient_funds",
    "wrong_data",
    "blocked",
    "limit",
    "bank_unavailable",
    "gateway_unavailable",
    "not_taken",
    "not_finished",
    "rejected",
]
NoticeKind = Literal[
    "balance_changed",
    "part_received",
    "gateway_unavailable",
    "pse_unavailable",
    "method_amount",
    "choose_method",
    "paying_again",
    "not_charged",
]
StepKind = Literal["go", "scan", "confirm"]
DetailField = Detail
PortalError = Literal["rate_limited", "too_short"]
MessageKind = Literal[
    "not_understood", "form_expired", "not_found", "gone", "too_many_requests", "failure", "unavailable"
]

MESSAGE_STATUS: Final[dict[MessageKind, int]] = {
    "not_understood": 400,
    "form_expired": 403,
    "not_found": 404,
    "gone": 410,
    "too_many_requests": 429,
    "failure": 500,
    "unavailable": 503,
}


class FormField(StrEnum):
    """The names of the fields that the forms post."""

    CSRF_TOKEN = "_csrf_token"  # noqa: S105  The name that litestar's check reads; not a token.
    LANG = "lang"
    """Also in the address that a form posts to, for pages that are answered before the form is read."""
    ATTEMPT_KEY = "attempt_key"
    CHOICE = "choice"
    """`full` or `part`, sent only when both are offered."""
    FULL_MINOR = "full_minor"
    """The whole balance the payer saw: if it is no longer the balance, show the page again (`balance_changed`)."""
    AMOUNT = "amount"
    """What the payer typed; to be read only when the choice is `part` or there is no choice."""
    UNDERSTOOD_MINOR = "understood_minor"
    """The typed amount as the button showed it. Unless it equals the server's reading of `amount`, ask first
    with a `ConfirmationPage`. Empty without JavaScript."""
    METHOD = "method"
    OUTCOME = "outcome"
    AGAIN = "again"
    """`1` when the payer pays although an earlier payment is not confirmed yet."""
    QUERY = "query"
    PERSON_TYPE = "person_type"
    BANK = "bank"
    DOCUMENT_TYPE = "document_type"
    DOCUMENT_NUMBER = "document_number"
    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    TERMS = "terms_accepted"


@dataclass(frozen=True, kw_only=True)
class Merchant:
    """Who collects. `support_contact` is an e-mail, a phone, a web address or free text."""

    name: str
    slug: str
    portal_url: str
    support_contact: str | None = None


@dataclass(frozen=True, kw_only=True)
class MethodChoice:
    """One way to pay. The catalog names it by `kind`; `label` and `hint` replace those words.

    `place` is whose page the payer is led to for it, when that is a gateway's and not a bank's.
    """

    id: str
    kind: MethodKind
    label: str | None = None
    hint: str | None = None
    place: str | None = None


@dataclass(frozen=True, kw_only=True)
class AmountChoice:
    """How much may be paid now.

    - `full_only`: the whole balance and nothing else.
    - `parts`: an amount from `min_label` to `max_label`, or the whole balance if `full_minor` is given
      (it is None when the balance is above the largest part).
    - `open`: the payer decides; either bound may be None.

    `parts_left` is how many payments may still come, this one included; None when it does not matter.
    """

    kind: AmountKind
    full_minor: int | None = None
    full_label: str | None = None
    min_label: str | None = None
    max_label: str | None = None
    parts_left: int | None = None

    def __post_init__(self) -> None:
        if (self.full_minor is None) != (self.full_label is None):
            raise ValueError("the whole balance needs both its number and its label")
        if self.kind == "full_only" and self.full_minor is None:
            raise ValueError("full_only needs the whole balance")
        if self.kind == "open" and self.full_minor is not None:
            raise ValueError("an open amount has no whole balance")
        if self.kind == "parts" and (self.min_label is None or self.max_label is None):
            raise ValueError("parts need a smallest and a largest part")


@dataclass(frozen=True, kw_only=True)
class PaymentForm:
    """The form of a payable page. `outcomes` is filled on test accounts only.

    `attempt_key` is new for each page shown: two posts with the same one are one attempt.
    """

    action: str
    csrf_token: str
    attempt_key: str
    amount: AmountChoice
    methods: tuple[MethodChoice, ...]
    outcomes: tuple[OutcomeId, ...] = ()
    chosen_method_id: str | None = None
    chosen_outcome: OutcomeId | None = None
    typed_amount: str | None = None
    amount_error: AmountError | None = None
    again: bool = False

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError("a form without a way to pay cannot be sent; leave the form out instead")


@dataclass(frozen=True, kw_only=True)
class ReceiptLine:
    """Money that arrived, or went back (`is_refund`). `method_detail` may say more, for example `Visa ·4242`.

    `trace` is the CUS of PSE: what the payer's bank statement shows.
    """

    number: str
    amount_label: str
    at: datetime
    method: MethodKind
    method_detail: str | None = None
    is_refund: bool = False
    trace: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepView:
    """What the payer has to do for a payment that was begun to go on.

    - `go`: finish on another site's page; `url` is our page that leads there.
    - `scan`: read `picture` (a data address) with the bank's application.
    - `confirm`: accept in `application` on their phone.

    `is_quiet`: the payer just came back from that page, so it is offered and not urged.
    """

    kind: StepKind
    amount_label: str
    method: MethodKind
    url: str | None = None
    picture: str | None = None
    application: str | None = None
    is_quiet: bool = False

    def __post_init__(self) -> None:
        given = {"go": self.url, "scan": self.picture, "confirm": self.application}
        if given[self.kind] is None:
            raise ValueError(f"a step of kind {self.kind} needs what it is about")


InstalmentState = Literal["paid", "part", "due", "overdue", "closed"]


@dataclass(frozen=True, kw_only=True)
class InstalmentRow:
    """One instalment of a plan. `amount_label` is what it asks for, or what it took; `url` leads to its page."""

    number: int
    amount_label: str
    due_on: date | None
    state: InstalmentState
    url: str
    is_this: bool


@dataclass(frozen=True, kw_only=True)
class PaymentPage:
    """One request to pay, in any of its states.

    `settled` is paid, but not through this link: outside, or by a late payment on an older link.

    `amount_label` is what was asked, `balance_label` what is still owed; both are None for an open amount.
    `attempt_label` is what the banks have not confirmed yet; a link that takes no more money may still wait for some.
    `credit_label` is what was paid beyond what was owed. `pay_again_url` leads to the form although a payment is not
    confirmed: the payer may know that it came to nothing. `refresh_url` looks at the page again.
    `received_percent` draws the bar beside `received_label`. A payable page without `form` says that there is no
    way to pay at the moment. `failure_text` is a gateway's own sentence, in Spanish: it replaces that of `failure`.
    `step` is how a payment that was begun goes on: on a page in progress, or beside the form when the payer may have
    left the gateway's page without paying.
    """

    lang: Language
    merchant: Merchant
    is_test: bool
    page_path: str
    link: str
    state: PaymentState
    title: str
    description: str | None = None
    reference: str | None = None
    document_url: str | None = None
    amount_label: str | None = None
    balance_label: str | None = None
    received_label: str | None = None
    attempt_label: str | None = None
    credit_label: str | None = None
    received_percent: int | None = None
    due_on: date | None = None
    is_overdue: bool = False
    expires_at: datetime | None = None
    form: PaymentForm | None = None
    failure: FailureKind | None = None
    failure_text: str | None = None
    notice: NoticeKind | None = None
    step: StepView | None = None
    receipts: tuple[ReceiptLine, ...] = ()
    plan: tuple[InstalmentRow, ...] = ()
    successor_url: str | None = None
    return_url: str | None = None
    pay_again_url: str | None = None
    refresh_url: str | None = None
    refresh_after_s: int = 10

    def __post_init__(self) -> None:
        if self.form is not None and self.state != "payable":
            raise ValueError(f"a page in state {self.state} takes no money")
        if self.form is not None and self.form.outcomes and not self.is_test:
            raise ValueError("simulated outcomes belong to test accounts only")


@dataclass(frozen=True, kw_only=True)
class ConfirmationPage:
    """Shows a typed amount back before anything is charged: the payer who has no JavaScript sees it here."""

    lang: Language
    merchant: Merchant
    is_test: bool
    page_path: str
    title: str
    amount_minor: int
    amount_label: str
    method: MethodChoice
    action: str
    csrf_token: str
    attempt_key: str
    outcome: OutcomeId | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class BankChoice:
    """A bank that the payer may pay from."""

    code: str
    name: str


@dataclass(frozen=True, kw_only=True)
class DetailsPage:
    """What a method asks of the payer before it begins: the second page of paying.

    `amount_label` is read back here, so a typed amount needs no page of its own. `choice` are the fields of the first
    form, to be sent along. `errors` name the fields that are missing or wrong; `typed` is what they held. `refusal` is
    the gateway's own sentence about the data, in Spanish (empty: it gave none); None when it refused nothing.
    """

    lang: Language
    merchant: Merchant
    is_test: bool
    page_path: str
    title: str
    amount_label: str
    method: MethodChoice
    gateway: str
    action: str
    csrf_token: str
    attempt_key: str
    choice: tuple[tuple[str, str], ...]
    asks: tuple[DetailField, ...]
    back_url: str
    language_url: str
    banks: tuple[BankChoice, ...] = ()
    document_types: tuple[DocumentType, ...] = ()
    terms_url: str | None = None
    data_url: str | None = None
    typed: Mapping[DetailField, str] = field(default_factory=dict[DetailField, str])
    errors: tuple[DetailField, ...] = ()
    refusal: str | None = None
    notice: NoticeKind | None = None

    def __post_init__(self) -> None:
        if "bank" in self.asks and not self.banks:
            raise ValueError("a bank cannot be chosen from none")
        if "terms" in self.asks and (self.terms_url is None or self.data_url is None):
            raise ValueError("nobody can accept what they cannot read")


@dataclass(frozen=True, kw_only=True)
class HandoffPage:
    """Leads to another site: the gateway's checkout, or back to the merchant.

    A page of our own must stand between the form and the other site. Browsers apply `form-action 'self'` to the
    redirects that follow a post as well, so a 303 to another site would be blocked. `fields` None: a link; else the
    browser sends them to `url` by GET, in this order and under these very names.
    """

    lang: Language
    merchant: Merchant
    is_test: bool
    page_path: str
    destination: Literal["gateway", "merchant"]
    url: str
    fields: tuple[tuple[str, str], ...] | None = None
    amount_label: str | None = None
    method: MethodKind | None = None
    gateway: str | None = None


@dataclass(frozen=True, kw_only=True)
class PortalRow:
    """One thing that can be paid. `balance_label` is None for an open amount."""

    title: str
    balance_label: str | None
    url: str
    due_on: date | None = None
    is_overdue: bool = False


@dataclass(frozen=True, kw_only=True)
class PortalPage:
    """The merchant's portal. `rows` is None before a search; empty is a miss, which never says why."""

    lang: Language
    merchant: Merchant
    is_test: bool
    page_path: str
    form_action: str
    csrf_token: str
    query: str = ""
    rows: tuple[PortalRow, ...] | None = None
    error: PortalError | None = None


@dataclass(frozen=True, kw_only=True)
class MessagePage:
    """Something went wrong or is not here. `page_path` is where "try again" leads.

    `request_id` lets the operator find a fault in the log; people quote it.
    """

    lang: Language
    kind: MessageKind
    page_path: str
    merchant: Merchant | None = None
    is_test: bool = False
    request_id: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status the page goes out with."""
        return MESSAGE_STATUS[self.kind]
