"""Every page of the admin: each pattern of its URLconf, for a row of each model."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import URLPattern, URLResolver

from llm.chaos.drills import DRILLS
from prompts.models import Prompt
from tests.admin.rows import MAKE

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
# Fragments, files and what answers programs; `r` leads to other sites' objects.
NO_PAGES = ("jsi18n", "autocomplete", "search", "metrics/text", "r/")


def routes() -> list[tuple[str, str]]:
    """The name and the pattern of every URL of the admin; '' for one without a name."""
    return sorted(set(_flat(admin.site.get_urls())))


def _flat(patterns: Iterable[Any], before: str = "") -> Iterator[tuple[str, str]]:
    for one in patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _flat(one.url_patterns, path)
        elif isinstance(one, URLPattern):
            yield one.name or "", path


def make_rows() -> dict[str, Model]:
    """A row of every model, by its label."""
    return {label: make() for label, make in MAKE.items()}


def fill(pattern: str, rows: dict[str, Model]) -> str:
    """The path of a pattern, for the row of its model."""
    pattern = pattern.replace("/report/<str:kind>/", "/report/csv/")
    value = str(_row_of(pattern, rows))
    return "/admin/" + PARAMETER.sub(value.replace("\\", r"\\"), pattern)


def _row_of(path: str, rows: dict[str, Model]) -> Any:
    if "job_type" in path:
        return "completion"
    if "<str:kind>" in path:
        return "csv"
    if "<slug:drill>" in path:
        return next(iter(DRILLS))
    if "prompt_id" in path:
        return Prompt.objects.latest("pk").pk
    row = rows.get(".".join(path.split("/")[:2]))
    return quote(row.pk) if row is not None else "1"


def paths() -> list[str]:
    """Of every page, with a row of every model made for them."""
    rows = make_rows()
    found = {
        fill(path, rows)
        for _, path in routes()
        if not path.startswith(NO_PAGES) and "(" not in path
    }
    return sorted(found)
