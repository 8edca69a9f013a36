"""The collection portal: type a reference or a document number, see what can be paid now."""

import re
from datetime import date

from recaudo.domain import money
from recaudo.domain.model import Account
from recaudo.store import accounts, views
from recaudo.store.accounts import Merchant
from recaudo.store.views import CollectionView
from recaudo.usecases.core import Core
from recaudo.web.i18n import Language
from recaudo.web.payer import Visitor, merchant_view
from recaudo.web.views import PortalError, PortalPage, PortalRow

QUERY_CHARS_MAX = 100


async def find(core: Core, slug: str, *, is_test: bool) -> tuple[Account, Merchant] | None:
    """The merchant with this slug and the account whose debts the portal shows; None too for a suspended account."""
    async with core.database.connection() as connection:
        account = await accounts.find_account_by_slug(connection, slug, is_test=is_test)
        if account is None or not account.active:
            return None
        merchant = await accounts.find_merchant(connection, account.merchant_id)
    return None if merchant is None else (account, merchant)


async def search(core: Core, account: Account, query: str, *, lang: Language) -> tuple[PortalRow, ...]:
    """What can be paid under a reference or document, oldest due first. A miss and an empty answer look the same."""
    if not query or len(query) > QUERY_CHARS_MAX or "\x00" in query:
        return ()
    found: list[CollectionView] = []
    async with core.database.connection() as connection:
        for spelling in _spellings(query):
            found = found or await views.find_payable(connection, account.id, spelling)
    now, today = core.now(account), core.today(account)
    live = [v for v in found if v.collection.expires_at is None or v.collection.expires_at > now]
    return tuple(_row(view, lang, today) for view in live)


def _spellings(query: str) -> list[str]:
    """The number as typed, then as it is stored: people write their document with dots and spaces."""
    bare = re.sub(r"[. ]", "", query)
    return [query, bare] if bare != query and bare.isascii() and bare.isdigit() else [query]


def page(
    account: Account,
    merchant: Merchant,
    visitor: Visitor,
    *,
    query: str = "",
    rows: tuple[PortalRow, ...] | None = None,
    error: PortalError | None = None,
) -> PortalPage:
    """The portal's page."""
    path = f"/{merchant.slug}" + ("/test" if account.is_test else "")
    return PortalPage(
        lang=visitor.lang,
        merchant=merchant_view(merchant, visitor.lang, is_test=account.is_test),
        is_test=account.is_test,
        page_path=path,
        form_action=f"{path}?lang={visitor.lang}",
        csrf_token=visitor.csrf_token,
        query=query,
        rows=rows,
        error=error,
    )


def _row(view: CollectionView, lang: Language, today: date) -> PortalRow:
    it, of = view.collection, view.invoice
    balance_minor = None if it.amount_minor is None else min(it.due_minor, of.balance_minor)
    return PortalRow(
        title=of.name,
        balance_label=None if balance_minor is None else money.label(balance_minor, it.currency),
        url=f"/payment/{it.id}?lang={lang}",
        due_on=it.due_on,
        is_overdue=it.due_on is not None and it.due_on < today,
    )
