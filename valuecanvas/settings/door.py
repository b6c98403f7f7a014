"""Logging in to the admin: second factors, recent log-ins, single sign-on."""

from valuecanvas import env

RECENT_LOGIN_S = env.integer(
    "RECENT_LOGIN_S",
    "Dangerous acts in the admin need a log-in of the last seconds, so many.",
    900,
    low=60,
    high=43_200,
)
