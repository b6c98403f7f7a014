"""Outgoing webhooks."""

from valuecanvas import env
from valuecanvas.settings.base import PRODUCTION

WEBHOOKS_ALLOW_HTTP = env.flag(
    "WEBHOOKS_ALLOW_HTTP",
    "Send webhooks to plain http:// or private addresses too; production: off.",
    default=not PRODUCTION,
)
# Longer than a day: what is retried must not be deleted.
WEBHOOKS_KEEP_DAYS = env.integer("WEBHOOKS_KEEP_DAYS", "Days that sent webhooks are kept.", 30, low=3, high=3650)  # fmt: skip
