"""Our own additions: what neither wire dialect has a word for."""
