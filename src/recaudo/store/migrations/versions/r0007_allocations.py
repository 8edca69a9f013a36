"""Sums that are undone together, and documents that nobody uses."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0007_allocations"
down_revision = "0006_credit_notes"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
