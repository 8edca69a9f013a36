"""Benchmarks: `python -m bench`, or `make bench`. README.md explains the figures and holds the latest ones."""
