"""The demo provider of the product, extended with faults and a record for tests."""
