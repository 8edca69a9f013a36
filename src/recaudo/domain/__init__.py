"""Rules of collecting money. Pure: no input or output, no clock, no randomness."""
