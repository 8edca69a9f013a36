"""The core tables."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0001_core"
down_revision = None


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
