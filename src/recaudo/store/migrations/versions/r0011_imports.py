"""Files of invoices that are sent over HTTP."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0011_imports"
down_revision = "0010_scale"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
