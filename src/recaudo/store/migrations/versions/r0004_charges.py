"""What invoices charge, instalments, due days, documents."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0004_charges"
down_revision = "0003_registers"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
