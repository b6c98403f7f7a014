"""Values survive the way into a file and back, and nonsense is refused in words."""

from datetime import UTC
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from valuecanvas.config_tree.field_values import parse_fields
from valuecanvas.config_tree.sections import SECTIONS
from valuecanvas.core.transfer import yaml_io

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
VALUES = JSON | st.datetimes() | st.dates()
FIELDS = [(name, field) for name, one in SECTIONS.items() for field in one.fields]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    name=TEXTS,
    note=TEXTS,
    usd=st.decimals(0, 999_999, places=6),
    at=st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1000),
)
def test_documents__of_any_values__are_read_as_they_were_written(
    name: str, note: str, usd: Any, at: Any
) -> None:
    rows: dict[str, dict[str, Any]] = {
        "tiers": {"key": name, "name": note, "daily_requests": 3},
        "budgets": {"limit_usd": usd, "note": note, "scope": "global", "period": "day"},
        "prices": {"provider": name, "effective_from": at, "input_usd": usd},
        "samples": {"name": name, "percent": usd, "note": note},
    }
    for name, values in rows.items():
        section = SECTIONS[name]
        document = section.document(section.model(**values))
        text = yaml_io.dump([section.compact(document)])
        assert section.parse(yaml_io.load(text)[0]) == document


@example(place=("models", "max_output_tokens"), value=float("inf"))
@settings(derandomize=True, max_examples=1000, deadline=None)
@given(place=st.sampled_from(FIELDS), value=VALUES)
def test_parse__of_any_value_of_any_field__is_a_document_or_a_refusal(
    place: tuple[str, str], value: Any
) -> None:
    section, name = place
    fields = {name: SECTIONS[section].fields[name]}
    try:
        document = parse_fields(fields, {name: value})
    except ValidationError as error:
        assert error.messages
    else:
        assert parse_fields(fields, document) == document


def test_parse__of_a_price_without_its_date__is_refused() -> None:
    """Else each import would add one."""
    price = {"provider": "p", "upstream_model": "m", "input_usd": 1, "output_usd": 2}
    with pytest.raises(ValidationError, match="This field is required"):
        SECTIONS["prices"].parse(price)
