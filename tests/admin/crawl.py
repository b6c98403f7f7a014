"""Every page of the admin: each pattern of its URLconf, for a row of each model."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import URLPattern, URLResolver

from prompts.models import Prompt
from tests.admin.rows import MAKE

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
# Fragments, files and what answers programs; `r` leads to other sites' objects.
NO_PAGES = ("jsi18n", "autocomplete", "search", "metrics/text", "r/")


def _flat(patterns: Iterable[Any], before: str = "") -> Iterator[str]:
    for one in patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _flat(one.url_patterns, path)
        elif isinstance(one, URLPattern):
            yield path


def _row_of(path: str, rows: dict[str, Model]) -> Any:
    if "prompt_id" in path:
        return Prompt.objects.latest("pk").pk
    row = rows.get(".".join(path.split("/")[:2]))
    return quote(row.pk) if row is not None else "1"


def paths() -> list[str]:
    """Of every page, with a row of every model made for them."""
    rows = {label: make() for label, make in MAKE.items()}
    found = []
    for path in _flat(admin.site.get_urls()):
        if path.startswith(NO_PAGES) or "(" in path:
            continue
        value = str(_row_of(path, rows))
        found.append("/admin/" + PARAMETER.sub(value.replace("\\", r"\\"), path))
    return sorted(set(found))
