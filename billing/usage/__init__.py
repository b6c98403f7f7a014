"""Where the money went: the ledger's partitions, its rollups and reports."""
