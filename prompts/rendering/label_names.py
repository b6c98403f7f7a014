"""Labels with a meaning in the product."""

PRODUCTION = "production"
STAGING = "staging"
# Not stored: always the newest version.
LATEST = "latest"
