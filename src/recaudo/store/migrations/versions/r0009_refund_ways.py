"""Which way a refund goes, and another address for notices."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0009_refund_ways"
down_revision = "0008_gateways"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
