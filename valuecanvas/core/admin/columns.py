"""Columns of lists, and links to objects."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html

from valuecanvas.core.admin.bases import display


def column(
    title: str, field: str, show: Callable[[Any], Any], *, ordering: str = ""
) -> Any:
    """The column `title` with `field` of a row, formatted by `show`."""

    @display(description=title, ordering=ordering or None)
    def cell(admin: Any, row: Any) -> Any:
        found = row
        for name in field.split("."):
            found = getattr(found, name)
        return show(found)

    return cell


def link(model: str, pk: Any, text: object) -> str:
    """`text` as a link to the page of the row; `model` as in 'billing_usage'."""
    url = reverse(f"admin:{model}_change", args=[quote(pk)])
    return format_html('<a class="vc-link" href="{}">{}</a>', url, text)
