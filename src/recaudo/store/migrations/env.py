"""Alembic asks for this file. Recaudo runs migrations from store/migrate.py, which hands alembic the connection."""
