"""Production's settings, but static files come from the apps: none are collected."""

from valuecanvas.settings import *  # noqa: F403
from valuecanvas.settings import STORAGES

PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": PLAIN}}
WHITENOISE_USE_FINDERS = True
