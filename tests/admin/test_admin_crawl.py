"""What holds for every page of the admin."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import Customer
from tests.admin.crawl import paths
from tests.admin.rows import MAKE
from tests.fixtures_billing import make_tier
from tests.flags.rows import make_flag
from valuecanvas.http.metrics_view import MetricsText

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


UNSEEN = ("hidden", "submit", "button", "image", "reset")


class Parts(HTMLParser):
    """The landmarks, where the first link leads, and fields with their labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.mains = 0
        self.labelled: set[str] = set()
        self._inside_label = 0
        # Fields that only a <label for> can name: id -> what to call it here.
        self.bare: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        self.mains += tag == "main"
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "label":
            self._inside_label += 1
            self.labelled.add(found.get("for") or "")
        if tag in ("input", "select", "textarea"):
            self._field(found)

    def handle_endtag(self, tag: str) -> None:
        self._inside_label -= tag == "label"

    def _field(self, found: dict[str, str | None]) -> None:
        named = found.get("aria-label") or found.get("aria-labelledby")
        unseen = found.get("type") in UNSEEN or found.get("class") == "hidden"
        if not (named or unseen or self._inside_label):
            name = found.get("name") or found.get("id") or "?"
            self.bare.append((found.get("id") or "", name))

    @property
    def unlabelled(self) -> set[str]:
        return {name for own, name in self.bare if own not in self.labelled}


def _faults(text: str) -> list[str]:
    parts = Parts(text)
    faults = []
    if parts.mains != 1:
        faults.append(f"{parts.mains} <main>")
    first = parts.links[0] if parts.links else ""
    if not first.startswith("#") or first[1:] not in parts.ids:
        faults.append("no skip link")
    return [*faults, *(f"no label: {name}" for name in sorted(parts.unlabelled))]


def _is_page(answer: Any) -> bool:
    kind = answer.get("Content-Type", "")
    return kind.startswith("text/html") and b"<!DOCTYPE" in answer.content


def test_every_page__looked_at__has_a_landmark_and_a_skip_link(
    boss: Client,
) -> None:
    """With 10,000 customers; and the metrics of so many pages stay small."""
    tier = make_tier()
    Customer.objects.bulk_create(
        Customer(user_id=f"crawl-{number}", tier=tier) for number in range(10_000)
    )
    faults: dict[str, str] = {}  # with one of the pages that have it
    seen = 0
    for path in paths():
        if path == "/admin/logout/":
            continue
        answer = boss.get(path)
        assert answer.status_code in (200, 301, 302, 403, 404), path
        if answer.status_code == 200 and _is_page(answer):
            seen += 1
            found = _faults(answer.content.decode())
            faults |= dict.fromkeys(found, path)
    assert not faults, "\n".join(
        f"{path}  {one}" for one, path in sorted(faults.items())
    )
    assert seen > 80
    text = MetricsText().read()
    # What bounded instruments take at most (test_bounded_metrics.py) comes on top.
    pages = [line for line in text.splitlines() if line.startswith(b"django_http_")]
    assert len(pages) < 350
    assert sum(map(len, pages)) < 30_000


def test_log_in__looked_at__has_a_landmark_and_a_skip_link() -> None:
    assert _faults(Client().get("/admin/login/").content.decode()) == []


def test_every_page__only_for_posts__leads_a_visitor_on(boss: Client) -> None:
    refused = [path for path in paths() if boss.get(path).status_code == 405]
    assert refused == []
    assert boss.get("/admin/").status_code == 200


@pytest.mark.parametrize("name", ["rule_preview", "rule_order", "try"])
def test_post_only_page__get__goes_to_the_flag(boss: Client, name: str) -> None:
    flag = make_flag()
    answer = boss.get(reverse(f"admin:flags_flag_{name}", args=[flag.pk]))
    assert answer["Location"] == reverse("admin:flags_flag_change", args=[flag.pk])
    assert boss.put(answer["Location"].replace("change", "try")).status_code == 405


@pytest.mark.parametrize("name", ["test", "discover", "add_models"])
def test_post_only_page__get__goes_to_the_provider(boss: Client, name: str) -> None:
    key = MAKE["llm.provider"]().pk
    answer = boss.get(reverse(f"admin:llm_provider_{name}", args=[key]))
    assert answer["Location"] == reverse("admin:llm_provider_change", args=[key])


def test_log_out__get__signs_nobody_out(boss: Client) -> None:
    assert boss.get("/admin/logout/")["Location"] == "/admin/"
    assert boss.get("/admin/").status_code == 200


def test_page__browser_takes_gzip__is_compressed_with_a_random_length(
    boss: Client,
) -> None:
    answers = [
        boss.get("/admin/", headers={"accept-encoding": "gzip"}) for _ in "12345"
    ]
    assert {one["Content-Encoding"] for one in answers} == {"gzip"}
    assert all("Accept-Encoding" in one["Vary"] for one in answers)
    plain = len(boss.get("/admin/").content)
    assert all(len(one.content) < plain / 3 for one in answers)
    assert len({len(one.content) for one in answers}) > 1


@pytest.mark.parametrize("path", ["/api/schema", "/api/flags", "/admin/jsi18n/"])
def test_no_page__browser_takes_gzip__goes_as_it_is(boss: Client, path: str) -> None:
    answer = boss.get(path, headers={"accept-encoding": "gzip"})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer
