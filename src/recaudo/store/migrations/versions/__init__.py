"""One alembic revision for each SQL file."""
