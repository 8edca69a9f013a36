"""Products, prices, retentions, rules of reminders, and the rest of a customer."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0003_registers"
down_revision = "0002_webhooks"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
