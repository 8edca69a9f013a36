"""A small city of merchants, payers, gateways and receivers, made from a seed, in which everything goes wrong.

One process of the product lives in it: real request bytes through the real pipeline, on a real PostgreSQL, with a clock
that jumps, gateways and receivers that fail, and a process that dies between any two of its steps. Afterwards what the
database holds is compared with what an independent model says (docs/reference/simulation.md).
"""
