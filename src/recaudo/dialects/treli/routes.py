"""Every operation of the dialect. Each noun has a module with its bodies, answers, handlers and routes."""

from collections.abc import Callable, Sequence

from recaudo.dialects.treli import collections, credit_notes, customers, invoices, prices, products, retentions
from recaudo.dialects.treli.collections import CollectionActions
from recaudo.dialects.treli.credit_notes import CreditNoteActions
from recaudo.dialects.treli.customers import CustomerActions
from recaudo.dialects.treli.invoices import InvoiceActions
from recaudo.dialects.treli.prices import PriceActions
from recaudo.dialects.treli.products import ProductActions
from recaudo.dialects.treli.retentions import RetentionActions
from recaudo.dialects.treli.rules import RuleActions
from recaudo.dialects.treli.sums import SumActions
from recaudo.edge.http import Reply
from recaudo.edge.routing import Route
from recaudo.usecases.core import Core


class Operations:
    """The handlers of all nouns, over one core."""

    def __init__(self, core: Core) -> None:
        self.invoices = InvoiceActions(core)
        self.collections = CollectionActions(core)
        self.sums = SumActions(core)
        self.customers = CustomerActions(core)
        self.products = ProductActions(core)
        self.prices = PriceActions(core)
        self.credit_notes = CreditNoteActions(core)
        self.retentions = RetentionActions(core)
        self.rules = RuleActions(core)


def routes(operations: Operations) -> Sequence[Route]:
    """What Treli's clients know, in the order of the specification."""
    o = operations
    return (
        *o.invoices.routes(),
        *o.collections.routes(),
        *o.customers.routes(),
        *o.sums.routes(),
        *o.products.routes(),
        *o.prices.routes(),
        *o.credit_notes.routes(),
    )


def register_routes(operations: Operations) -> Sequence[Route]:
    """What Treli configures in its dashboard only, reached below /recaudo/v1 (section 14)."""
    return (*operations.retentions.routes(), *operations.rules.routes())


REFUSALS: Sequence[Callable[[Exception], Reply | None]] = (
    invoices.refused,
    collections.refused,
    customers.refused,
    products.refused,
    prices.refused,
    credit_notes.refused,
    retentions.refused,
)
"""What each noun says of the errors that its operations raise."""
