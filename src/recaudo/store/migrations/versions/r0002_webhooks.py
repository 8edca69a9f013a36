"""Webhooks, and the feed of events."""

from alembic import op

from recaudo.store.migrate import statements

revision = "0002_webhooks"
down_revision = "0001_core"


def upgrade() -> None:
    for statement in statements(revision):
        op.execute(statement)
