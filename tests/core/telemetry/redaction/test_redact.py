"""Personal data and secrets are replaced; ids, times, versions and costs are not."""

import datetime as dt
import importlib
import uuid
from decimal import Decimal
from typing import Any

import pytest
import re2

from tests.core.telemetry.redaction.samples import CLEAN, LETTERS, NAMED, SAMPLES
from valuecanvas.core.telemetry.redaction import redact, redact_event, redact_value
from valuecanvas.core.telemetry.redaction.checks import valid
from valuecanvas.core.telemetry.redaction.patterns import PATTERNS

module = importlib.import_module("valuecanvas.core.telemetry.redaction.redact")
KINDS = [(kind, text) for kind, texts in SAMPLES.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), KINDS)
@pytest.mark.parametrize(
    "around", ["{}", "about '{}', sent", '{{"a":"{}"}}', "é({})\n"]
)
def test_redact__sample__is_replaced_by_its_kind(
    kind: str, text: str, around: str
) -> None:
    assert redact(around.format(text)) == around.format(f"[{kind}]")


@pytest.mark.parametrize(("text", "expected"), NAMED)
def test_redact__named_secret__leaves_its_name(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize("text", CLEAN)
@pytest.mark.parametrize("around", ["{}", "id {} at", "x={},y", "é {}\n"])
def test_redact__ids_times_versions_and_costs__are_left(text: str, around: str) -> None:
    assert redact(around.format(text)) == around.format(text)


@pytest.mark.parametrize("number", range(len(PATTERNS)))
def test_redact__without_one_pattern__lets_a_sample_through(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = list(module._COMPILED)
    del compiled[number]
    monkeypatch.setattr(module, "_COMPILED", tuple(compiled))
    samples = [(text, f"[{kind}]") for kind, text in KINDS] + NAMED
    assert any(redact(text) != expected for text, expected in samples)


def test_redact__numbers_beside_each_other__are_told_apart() -> None:
    text = "2026 4111 1111 1111 1111 and DE89 3704 0044 0532 0130 00 PAID ON TIME"
    assert redact(text) == "2026 [card] and [iban] PAID ON TIME"


def test_redact__lone_surrogate__stays_as_it_is() -> None:
    assert redact("\ud800 a@b.example") == "\ud800 [email]"


class Searches:
    """Counts the searches of one pattern."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.groups = compiled.groups
        self.count = 0

    def search(self, text: bytes, at: int) -> Any:
        self.count += 1
        return self._compiled.search(text, at)


@pytest.mark.parametrize("text", [text for _, text in KINDS] + ["1::", "AA00 ", "a@"])
def test_redact__megabyte_of_candidates__has_few_steps_of_linear_time(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # RE2 searches in linear time; so the number of searches and the length bound all.
    counted = [(one, Searches(compiled)) for one, compiled in module._COMPILED]
    monkeypatch.setattr(module, "_COMPILED", counted)
    assert isinstance(module._ANY, re2.Set)
    for sep in ("", " "):
        one = text + sep
        found = redact(one * (1_000_000 // len(one)))
        assert len(found) <= module.MOST_CHARS + 50
    assert max(searches.count for _, searches in counted) <= 2 * module.MOST_CANDIDATES


def test_redact__too_long__is_cut_between_words() -> None:
    key = f"vc-AbCdEf12-{LETTERS}"
    text = "x" * (module.MOST_CHARS - 10) + " " + key
    assert (
        redact(text)
        == f"{'x' * (module.MOST_CHARS - 10)} [{len(key) + 1} more characters]"
    )
    assert redact("y" * 40_000).startswith("y" * module.MOST_CHARS)


def test_redact__many_addresses__leaves_the_rest_out() -> None:
    found = redact("a@b.example " * 300)
    assert found.startswith("[email] [email] ")
    assert found.endswith(" more bytes]")
    assert "@" not in found


def test_value__nested__is_redacted_and_plain_values_are_kept() -> None:
    one, at = uuid.uuid4(), dt.datetime.now(dt.UTC)
    value = {
        "a@b.example": ["203.0.113.7", (b"a@b.example", {1})],
        "api-key": "anything",
        "keep": [1, 1.5, None, True, one, at, Decimal("0.1")],
        "error": ValueError("of a@b.example"),
    }
    assert redact_value(value) == {
        "[email]": ["[ip]", ["[email]", [1]]],
        "api-key": "[secret]",
        "keep": [1, 1.5, None, True, one, at, Decimal("0.1")],
        "error": "of [email]",
    }


def test_value__deep_and_wide__is_bounded() -> None:
    deep: Any = "a@b.example"
    for _ in range(50):
        deep = [deep]
    assert "[nested too deeply]" in str(redact_value(deep))
    assert len(redact_value(list(range(1_000)))) == module.MOST_ITEMS
    assert (
        len(redact_value({str(one): one for one in range(1_000)})) == module.MOST_ITEMS
    )


def test_event__fields__are_redacted_in_place() -> None:
    event: dict[str, Any] = {"event": "x", "error": "of a@b.example", "tokens": 1}
    redact_event(event)
    assert event == {"event": "x", "error": "of [email]", "tokens": 1}
    event = {"event": "x", "password": "plain"}
    redact_event(event)
    assert event["password"] == "[secret]"
    event = {"event": "x", "found": ["a@b.example"]}
    redact_event(event)
    assert event["found"] == ["[email]"]


def test_event__usual_one__is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMPILED", None)
    event: dict[str, Any] = {
        "event": "request.done",
        "request_id": "0193a5c2-7d1e-7b3a-9c4d-ab12cdef3456",
        "key": "kb12cdefGH56",
        "trace_id": "1" * 32,
        "model": "claude-3-5-sonnet-20241022",
        "id": uuid.uuid4(),
        "cost_micro_usd": 4111111111111111,
        "timestamp": "2026-11-30T08:14:13.123456Z",
    }
    kept = dict(event)
    redact_event(event)
    assert event == kept


def test_check__number_that_stdnum_lacks__raises() -> None:
    with pytest.raises(LookupError, match=r"xx\.none"):
        valid("xx", "none")
