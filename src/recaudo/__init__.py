"""Recaudo: a self-hosted invoice-collection server."""

__version__ = "0.1.0"
