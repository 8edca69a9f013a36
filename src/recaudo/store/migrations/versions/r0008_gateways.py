"""Gateways of merchants, their notices, suspense, refunds, reconciliation."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0008_gateways"
down_revision = "0007_allocations"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
