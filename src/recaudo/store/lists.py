"""One page of a list: by number with the total of its rows, or the rows after a cursor."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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


class OneOf(msgspec.Struct, frozen=True, kw_only=True):
    """A condition whose values an index sorts by: each is read in order, and what is read is merged.

    `expression` is that of the index, `order` the list's order in the names of the columns as they are selected.
    """

    expression: str
    values: Sequence[object]
    order: str


async def fetch_page(  # noqa: PLR0913 - the parts of one query, each by its name
    connection: Connection,
    *,
    select: str,
    source: str,
    conditions: Sequence[tuple[str, Sequence[object]]],
    order: str,
    account_id: UUID,
    request: PageRequest,
    to_row: Callable[[Record], Row],
    one_of: OneOf | None = None,
    total: int | None = None,
) -> Page[Row]:
    """Run a list query. `source` ends in a WHERE on $1 (the account); each condition has `{}` for its values.

    `total` is how many rows fit, where that is known without counting them.
    """
    where = "".join(f" AND {text.format(f'${i}')}" for i, (text, _) in enumerate(conditions, start=2))
    values: list[object] = [account_id, *(list(v) for _, v in conditions)]
    offset = (request.page - 1) * request.per_page
    if total is None:
        total = await _count(connection, f"{source}{where}", values, one_of)
    if offset >= total:
        return Page([], total)
    if one_of is None:
        first = len(values) + 1
        query = f"{select} {source}{where} ORDER BY {order} LIMIT ${first} OFFSET ${first + 1}"
        values += [request.per_page, offset]
    else:
        query = _merged(f"{select} {source}{where}", order, one_of, values, offset=offset, limit=request.per_page)
    records = await connection.fetch(query, *values)
    return Page([to_row(r) for r in records], total)


async def _count(connection: Connection, source: str, values: Sequence[object], one_of: OneOf | None) -> int:
    if one_of is not None:
        source += f" AND {one_of.expression} = ANY (${len(values) + 1}::text[])"
        values = [*values, list(one_of.values)]
    found: int = await connection.fetchval(f"SELECT count(*) {source}", *values)
    return found


def _merged(query: str, order: str, one_of: OneOf, values: list[object], *, offset: int, limit: int) -> str:
    """The query for a page of what fits any of the values; what it needs is added to `values`."""
    last = len(values) + 1
    values += [offset + limit, offset, limit]
    parts: list[str] = []
    for value in dict.fromkeys(one_of.values):
        values.append(value)
        parts.append(f"({query} AND {one_of.expression} = ${len(values)} ORDER BY {order} LIMIT ${last})")
    merged = " UNION ALL ".join(parts)
    return f"SELECT * FROM ({merged}) found ORDER BY {one_of.order} OFFSET ${last + 1} LIMIT ${last + 2}"  # noqa: S608


class CursorRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of a list: newest first, after the one with the id `after`, made in a span of time."""

    limit: int = 20
    after: UUID | None = None
    created_after: datetime | None = None  # at or after
    created_before: datetime | None = None


class CursorPage(msgspec.Struct, Generic[Row], frozen=True):
    """The rows of one page, and whether there are more."""

    items: list[Row]
    has_more: bool


class UnknownCursorError(Exception):
    """The list has no row with this id: no page ever ended there."""


async def fetch_newest(
    connection: Connection,
    table: str,
    *,
    where: str,
    filters: Mapping[str, str],
    asked: Mapping[str, Sequence[object]],
    account_id: UUID,
    request: CursorRequest,
    to_row: Callable[[Record], Row],
) -> CursorPage[Row]:
    """The newest rows `t` of a table that fit `where`, after the cursor; each filter has `{}` for its values.

    Rows that no longer fit are cursors all the same. Raises UnknownCursorError.
    """
    values: list[object] = [account_id]

    def place(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    conditions = ["t.account_id = $1", where]
    conditions += [filters[name].format(place(list(allowed))) for name, allowed in asked.items()]
    if request.after is not None:
        at = await _cursor(connection, table, account_id, request.after)
        conditions.append(f"(t.created_at, t.id) < ({place(at)}, {place(request.after)})")
    if request.created_after is not None:
        conditions.append(f"t.created_at >= {place(request.created_after)}")
    if request.created_before is not None:
        conditions.append(f"t.created_at < {place(request.created_before)}")
    query = f"SELECT t.* FROM {table} t WHERE {' AND '.join(conditions)} ORDER BY t.created_at DESC, t.id DESC"  # noqa: S608
    records = await connection.fetch(f"{query} LIMIT {place(request.limit + 1)}", *values)
    return CursorPage([to_row(r) for r in records[: request.limit]], has_more=len(records) > request.limit)


async def _cursor(connection: Connection, table: str, account_id: UUID, row_id: UUID) -> datetime:
    at: datetime | None = await connection.fetchval(
        f"SELECT created_at FROM {table} WHERE account_id = $1 AND id = $2",  # noqa: S608 - our own names
        account_id,
        row_id,
    )
    if at is None:
        raise UnknownCursorError(str(row_id))
    return at
