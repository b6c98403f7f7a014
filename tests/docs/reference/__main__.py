"""Writes docs/reference from the code: `python -m tests.docs.reference` (`make reference`)."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")
django.setup()
# They read the models.
from tests.docs.reference.pages import PAGES, REFERENCE  # noqa: E402

REFERENCE.mkdir(exist_ok=True)
for name, render in PAGES.items():
    (REFERENCE / name).write_text(render(), encoding="utf-8")
