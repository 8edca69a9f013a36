"""HTTP plumbing that knows no dialect: authentication, limits, routing, idempotency keys, the order of checks."""
