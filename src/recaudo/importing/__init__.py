"""Files of invoices: reading them row by row, and writing those rows back that were refused."""
