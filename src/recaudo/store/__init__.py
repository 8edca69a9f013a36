"""PostgreSQL: migrations, the one write door, claims of due work, reads for lists and pages."""
