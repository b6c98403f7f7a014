"""The forms of a page, filled in as a hurried visitor would."""

from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

WORDS = "1"  # a text, and a number too
BUTTONS = ("button", "image", "reset", "file")


@dataclass
class SentForm:
    """Where a form goes, and its fields by name."""

    url: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.found: list[SentForm] = []
        self._form: SentForm | None = None
        # Of the text area or the list that is open: its name, and what was chosen.
        self._area = ""
        self._text = ""
        self._list = ""
        self._options: list[tuple[bool, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form" and told.get("method", "").lower() == "post":
            self._form = SentForm(urljoin(self.page, told.get("action") or self.page))
            self.found.append(self._form)
        name = told.get("name", "")
        if self._form is None or ("disabled" in told and tag != "option"):
            return
        if tag == "input" and name:
            self._input(self._form, name, told)
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._list, self._options = name, []
        elif tag == "option" and self._list:
            self._options.append(("selected" in told, told.get("value", "")))

    def _input(self, form: SentForm, name: str, told: dict[str, str]) -> None:
        kind = told.get("type", "text")
        if kind in BUTTONS or (kind == "submit" and name in form.fields):
            return
        if kind in ("checkbox", "radio"):
            if "checked" in told or name not in form.fields:
                form.add(name, told.get("value", "on"))
        else:
            form.add(name, told.get("value", "") or WORDS)

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif self._form is None:
            return
        elif tag == "textarea" and self._area:
            self._form.add(self._area, self._text.strip() or WORDS)
            self._area = ""
        elif tag == "select" and self._list:
            self._choose(self._form)

    def _choose(self, form: SentForm) -> None:
        chosen = [value for selected, value in self._options if selected]
        known = [value for _, value in self._options if value]
        for value in [one for one in chosen if one][:1] or known[:1]:
            form.add(self._list, value)
        self._list = ""


class _Unchanged(_Forms):
    """Fields as the page shows them, for somebody who changes only some."""

    def _input(self, form: SentForm, name: str, told: dict[str, str]) -> None:
        kind = told.get("type", "text")
        if kind in (*BUTTONS, "submit"):
            return
        if kind not in ("checkbox", "radio") or "checked" in told:
            form.add(name, told.get("value", "on" if kind == "checkbox" else ""))

    def _choose(self, form: SentForm) -> None:
        for selected, value in self._options:
            if selected:
                form.add(self._list, value)
        self._list = ""


def unchanged_form(answer: Any) -> dict[str, list[str]]:
    """The fields of the page's change form as they are shown."""
    parser = _Unchanged("")
    parser.feed(answer.content.decode())
    [found] = [one.fields for one in parser.found if "revision" in one.fields]
    return found


def forms_of(page: str, answer: Any) -> list[SentForm]:
    """Of the page at `page`, those that are POSTed."""
    return read_forms(page, answer.content.decode())


def read_forms(page: str, text: str) -> list[SentForm]:
    """The same of a page's text."""
    parser = _Forms(page)
    parser.feed(text)
    return parser.found


def page_of(row: Any) -> str:
    opts = row._meta
    return reverse(
        f"admin:{opts.app_label}_{opts.model_name}_change", args=[str(row.pk)]
    )


def words(answer: HttpResponse) -> str:
    return " ".join(unescape(strip_tags(answer.content.decode())).split())


def opened(client: Client, row: Any, **changed: Any) -> dict[str, Any]:
    """The row's form as the page shows it, with some fields changed."""
    return {**unchanged_form(client.get(page_of(row))), **changed}
