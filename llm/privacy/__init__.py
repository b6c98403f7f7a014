"""A person's rights to their data: export and erasure of one customer."""
