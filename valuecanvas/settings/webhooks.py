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
EMAIL_HOST = env.text(
    "EMAIL_HOST", "The SMTP server for alerts by e-mail. Empty: none."
)
EMAIL_PORT = env.integer("EMAIL_PORT", "Its port.", 587, low=1, high=65535)
EMAIL_HOST_USER = env.text(
    "EMAIL_HOST_USER", "The user to log in as. Empty: no log-in."
)
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "The password of that user.")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", "Encrypt by STARTTLS.", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text(
    "EMAIL_FROM", "The sender's address.", "valuecanvas@localhost"
)
