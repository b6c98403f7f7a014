"""Model names and what they make the demo provider do."""

import re

import pytest

from tests.fault_provider.behaviours import (
    TABLE,
    Behaviour,
    Overrides,
    describe,
    parse,
)
from valuecanvas.embedded.demo_provider.errors import RequestRefused

NAMES = [
    ("demo", Behaviour()),
    ("ok", Behaviour()),
    ("acme/large-2-chat", Behaviour()),
    ("text-embedding-3-small", Behaviour()),
    ("ok-31", Behaviour(chunks=31)),
    ("slow@500ms", Behaviour(delay=0.5)),
    ("slow@1.5s", Behaviour(delay=1.5)),
    ("drip@20ms", Behaviour(pause=0.02)),
    ("drip@20ms:200", Behaviour(pause=0.02, tokens=200)),
    ("reset@37", Behaviour(cut="reset", after=37)),
    ("hang", Behaviour(hang="silent")),
    ("hang_headers", Behaviour(hang="headers")),
    ("stall@5", Behaviour(cut="stall", after=5)),
    ("status-500", Behaviour(status=500)),
    ("status-429@7", Behaviour(status=429, retry_after="7")),
    ("status-429@-1", Behaviour(status=429, retry_after="-1")),
    ("status-429:insufficient_quota", Behaviour(status=429, code="insufficient_quota")),
    ("malformed", Behaviour(cut="malformed", after=0)),
    ("malformed@3", Behaviour(cut="malformed", after=3)),
    ("html-502", Behaviour(html=502)),
    ("truncated", Behaviour(cut="truncated")),
    ("error-event@5", Behaviour(cut="error_event", after=5)),
    ("lie_usage-low", Behaviour(lie="low")),
    ("huge@10MB", Behaviour(huge=10_000_000)),
    ("huge@500", Behaviour(huge=500)),
    ("bomb@1GB", Behaviour(bomb=1_000_000_000)),
    ("headers@9", Behaviour(headers=9)),
    ("redirect", Behaviour(redirect=True)),
    ("ignore_max_tokens", Behaviour(ignore_limit=True)),
    ("filter", Behaviour(filtered=True)),
    ("flaky@50", Behaviour(flaky=50)),
    ("echo", Behaviour(echo=True)),
    ("cached@4", Behaviour(cached=4)),
    ("responses", Behaviour(responses=True)),
    ("ok-31+slow@50ms", Behaviour(chunks=31, delay=0.05)),
    ("echo+drip@1ms", Behaviour(echo=True, pause=0.001)),
    ("status-500+status-503", Behaviour(status=503)),
    ("status-429@7+status-503", Behaviour(status=503)),
    ("reset@3+truncated", Behaviour(cut="truncated")),
]


@pytest.mark.parametrize(("name", "behaviour"), NAMES)
def test_parse__name_in_the_table__gives_its_behaviour(name, behaviour):
    assert parse(name) == behaviour


@pytest.mark.parametrize(
    "name",
    [
        "",
        "hagn",
        "huge",
        "rest@37",
        "ok-many",
        "status-200",
        "status-429@",
        "slow@5",
        "flaky@101",
        "lie_usage-sometimes",
        "ok+nonsense-1",
        "html-teapot",
    ],
)
def test_parse__slip_of_the_pen__is_refused(name):
    with pytest.raises(RequestRefused):
        parse(name)


def test_table__every_row__matches_names_that_no_other_matches():
    parts = {part for name, _ in NAMES for part in name.split("+")}
    found = [[r.form for r in TABLE if r.pattern.fullmatch(part)] for part in parts]
    assert {form for forms in found for form in forms} == {r.form for r in TABLE}
    assert max(len(forms) for forms in found) == 1


def test_describe__table__has_a_line_for_each_behaviour():
    lines = describe().splitlines()
    assert len(lines) == len(TABLE)
    assert all(re.match(r"\S+ +\S", line) for line in lines)


def test_without_faults__faults_beside_pace__keeps_the_pace_alone():
    behaviour = parse("slow@1s+drip@2ms:9+reset@3+status-500+lie_usage-low")
    harmless = Behaviour(delay=1, pause=0.002, tokens=9)
    assert behaviour.without_faults() == harmless == harmless.without_faults()


def test_overrides__flaky_model__fails_in_the_same_order_each_time():
    one, other = Overrides(), Overrides()
    turns = [one.behaviour("flaky@30").status for _ in range(200)]
    assert turns == [other.behaviour("flaky@30").status for _ in range(200)]
    assert turns[:100].count(500) == turns[100:].count(500) == 30
    assert turns[:100] != turns[100:]
