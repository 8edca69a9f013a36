"""Numbers of lists, indexes by status, sweeping what grows for ever."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0010_scale"
down_revision = "0009_refund_ways"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
