"""Labels that the product itself knows."""

PRODUCTION = "production"
STAGING = "staging"
# Not a row: always the newest version.
LATEST = "latest"
