"""Chaos experiments and drills: off unless they are asked for."""

from valuecanvas import env
from valuecanvas.settings.base import VAR_DIR

CHAOS_ENABLED = env.flag("CHAOS_ENABLED", "Chaos experiments and drills; production also wants a window that `manage.py chaos open` opens.", default=False)  # fmt: skip
CHAOS_STOP_FILE = (
    env.text(
        "CHAOS_STOP_FILE",
        "While this file exists no fault is injected. Empty: chaos.stop in VALUECANVAS_VAR.",
    )  # fmt: skip
    or str(VAR_DIR / "chaos.stop")
)
CHAOS_MOST_PERCENT = env.number("CHAOS_MOST_PERCENT", "Most of all requests that an experiment may meet, in percent.", 10, low=0.01, high=100)  # fmt: skip
CHAOS_MOST_TTL_S = env.integer("CHAOS_MOST_TTL_S", "Longest run, in seconds.", 900, low=10, high=3600)  # fmt: skip
DRILL_URL = env.url("DRILL_URL", "The gateway that drills send their requests to. Empty: HOST and PORT here.", schemes=("http", "https"))  # fmt: skip
# Faults end so long after the last word of their controller, and are looked up so often.
CHAOS_LEASE_S = 15
CHAOS_POLL_S = 1.0
