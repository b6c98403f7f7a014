"""The response cache: exact matches only, signed, scoped to a tenant."""
