"""What is planned once for a connection: to plan the statement that saves a change takes longer than the change."""

from uuid import UUID

from recaudo.domain.model import Account
from recaudo.usecases import invoices
from recaudo.usecases.core import Core
from tests.databases import bill, create

CHANGES = 12

_PLANNED = """
SELECT sum(generic_plans)::int AS once, sum(custom_plans)::int AS anew FROM pg_prepared_statements
WHERE statement LIKE '%One change of one invoice%' AND statement NOT LIKE '%pg_prepared%'
"""


async def test_the_statement_that_saves_a_change_is_planned_once(core: Core, account: Account) -> None:
    made = await create(core, account, bill(origin_id="planned"))
    for number in range(CHANGES):
        fields = {"amount_minor": 5_000_000 + 100 * number}
        await invoices.change(
            core, account, UUID(made.answer.decode()), lambda _, fields=fields: fields, lambda _: (200, b""), once=None
        )
    async with core.database.connection() as connection:
        planned = await connection.fetchrow(_PLANNED)
        mode = await connection.fetchval("SHOW plan_cache_mode")
    assert planned is not None
    assert tuple(planned) == (CHANGES, 0)
    assert mode == "auto", "what lists ask for is planned for what they ask"
