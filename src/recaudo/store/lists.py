"""One page of a list, with the total number of its rows."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from recaudo.store.database import Connection
from recaudo.store.rows import Record

Row = TypeVar("Row")


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which page is asked for; `sort` is a field name, with a minus for descending."""

    page: int = 1
    per_page: int = 20
    sort: str = "-created_at"


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """The rows of one page, and how many rows all pages have together."""

    items: list[Row]
    total: int


async def fetch_page(
    connection: Connection,
    *,
    select: str,
    source: str,
    conditions: Sequence[tuple[str, Sequence[object]]],
    order: str,
    account_id: UUID,
    request: PageRequest,
    to_row: Callable[[Record], Row],
) -> Page[Row]:
    """Run a list query. `source` ends in a WHERE on $1 (the account); each condition has `{}` for its values."""
    where = "".join(f" AND {text.format(f'${i}')}" for i, (text, _) in enumerate(conditions, start=2))
    values = [list(v) for _, v in conditions]
    first = len(values) + 2
    total = await connection.fetchval(f"SELECT count(*) {source}{where}", account_id, *values)
    offset = (request.page - 1) * request.per_page
    if offset >= total:
        return Page([], total)
    records = await connection.fetch(
        f"{select} {source}{where} ORDER BY {order} LIMIT ${first} OFFSET ${first + 1}",
        account_id,
        *values,
        request.per_page,
        offset,
    )
    return Page([to_row(r) for r in records], total)
