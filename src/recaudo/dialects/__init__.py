"""Wire dialects: thin packages on one core, with the same file names in each."""
