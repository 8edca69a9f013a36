"""Recaudo beside other programs that keep invoices: `python -m bench peers`. Each peer is one file here."""
