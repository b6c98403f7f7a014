"""Appearance and login settings of the admin."""

from valuecanvas import env

# Teal, in unfold's scale; the greys are unfold's defaults.
_PRIMARY = {
    "50": "oklch(98.4% .014 180.7)",
    "100": "oklch(95.3% .051 180.8)",
    "200": "oklch(91% .096 180.4)",
    "300": "oklch(85.5% .138 181.1)",
    "400": "oklch(77.7% .152 181.9)",
    "500": "oklch(65% .118 184.7)",
    "600": "oklch(52.5% .1 186)",
    "700": "oklch(46% .086 187)",
    "800": "oklch(40% .072 189)",
    "900": "oklch(36% .06 191)",
    "950": "oklch(26% .046 193)",
}

LOGIN_FAILURES = env.integer("LOGIN_FAILURES", "Failed logins to an account or from an address until it is locked.", 10, low=1, high=1000)  # fmt: skip
LOGIN_LOCKOUT_S = env.integer("LOGIN_LOCKOUT_S", "How long logging in is locked then, in seconds.", 900, low=1, high=86_400)  # fmt: skip
INVITATION_HOURS = env.integer("INVITATION_HOURS", "How long the link works by which an invited colleague chooses a password.", 48, low=1, high=24 * 14)  # fmt: skip
PASSWORD_RESET_TIMEOUT = INVITATION_HOURS * 3600
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
FORMAT_MODULE_PATH = ["valuecanvas.formats"]

UNFOLD: dict[str, object] = {
    "SITE_TITLE": "ValueCanvas",
    "SITE_HEADER": "ValueCanvas",
    "SITE_SUBHEADER": "LLM control room",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {"form": "valuecanvas.site.login.LoginForm"},
    "COLORS": {"primary": _PRIMARY},
    "ENVIRONMENT": "valuecanvas.site.sidebar.environment",
    "DASHBOARD_CALLBACK": "valuecanvas.site.dashboard.fill",
    "STYLES": ["valuecanvas.site.sidebar.stylesheet"],
    "SCRIPTS": ["valuecanvas.site.sidebar.script"],
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": "valuecanvas.site.sidebar.favicon",
        }
    ],
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "valuecanvas.site.sidebar.navigation",
    },
}
