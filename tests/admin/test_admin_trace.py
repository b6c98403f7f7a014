"""The links from a request's page to its trace."""

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from llm.admin.trace import trace_link
from tests.admin.rows import make_refusal, make_replay, make_usage
from valuecanvas.core.ids import uuid7

URL = "https://traces.example/{trace_id}?a=1&b=2"
OTHER = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("trace_id", "waited", "kept"),
    [
        # Begun by a client: what its flag was is not known.
        (OTHER, {}, True),
        ("own", {"failed": False}, False),
        ("own", {"failed": True}, True),
        ("own", {"waited_ms": 10_000}, True),
        ("own", {"waited_ms": 9_999}, False),
    ],
)
def test_trace_link__of_each_request__leads_only_to_what_was_kept(
    settings: Settings, trace_id: str, waited: dict[str, Any], kept: bool
) -> None:
    settings.TRACE_URL, settings.TRACE_SAMPLE_RATIO = URL, 0.0
    request_id = uuid7()
    trace_id = request_id.hex if trace_id == "own" else trace_id
    shown = trace_link(trace_id, request_id, **{"failed": False, **waited})
    assert trace_id in shown
    assert ("<a " in shown) is kept
    assert ("not kept" in shown) is not kept


def test_trace_link__of_a_sampled_request__is_there(settings: Settings) -> None:
    settings.TRACE_URL, settings.TRACE_SAMPLE_RATIO = URL, 1.0
    request_id = uuid7()
    shown = trace_link(request_id.hex, request_id, failed=False)
    assert f'href="https://traces.example/{request_id.hex}?a=1&amp;b=2"' in shown


def test_trace_link__without_a_page__is_the_id(settings: Settings) -> None:
    settings.TRACE_URL = ""
    assert trace_link(OTHER, uuid.UUID(OTHER), failed=True) == OTHER
    assert trace_link("", uuid.UUID(OTHER), failed=True) == "none"


def test_pages__of_each_kind_of_request__link_to_the_trace(
    boss: Client, settings: Settings, db: None
) -> None:
    settings.TRACE_URL = URL
    rows = [make_usage(trace_id=OTHER), make_refusal(trace_id=OTHER)]
    rows.append(make_replay(trace_id=OTHER))
    for row in rows:
        page = boss.get(f"/admin/billing/{row._meta.model_name}/{row.pk}/change/")
        assert f'href="https://traces.example/{OTHER}' in page.content.decode()
