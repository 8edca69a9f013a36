"""Money that goes back."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0005_reversals"
down_revision = "0004_charges"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
