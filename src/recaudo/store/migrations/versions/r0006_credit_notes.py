"""Credit notes."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0006_credit_notes"
down_revision = "0005_reversals"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
