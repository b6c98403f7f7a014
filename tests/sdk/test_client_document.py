"""The document that generators read, and the list of what they made of it."""

import re
from pathlib import Path

import pytest
import yaml

from tests.sdk.client_document import client_document
from tests.sdk.languages import LANGUAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"
NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"type": "string"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"anyOf": [{"$ref": "#/a"}, NULL]}, {"anyOf": [{"$ref": "#/a"}, NULL]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "number"}], "description": "To."},
            {"description": "To."},
        ),
        ({"type": ["string", "number", "null"]}, {}),
        (
            {"type": ["object", "null"], "description": "Tags."},
            {"anyOf": [{"type": "object"}, NULL], "description": "Tags."},
        ),
    ],
)
def test_schema__of_several_types__takes_any_value(schema, expected) -> None:
    assert client_document({"properties": {"a": schema}}) == {
        "properties": {"a": expected}
    }


def test_document__for_generators__loses_no_operation_and_no_schema() -> None:
    document = yaml.safe_load((DOCS / "openapi.yaml").read_text())
    found = client_document(document)
    assert found["paths"].keys() == document["paths"].keys()
    schemas = document["components"]["schemas"]
    assert found["components"]["schemas"].keys() == schemas.keys()


def test_docs__of_clients__list_each_language_with_its_result() -> None:
    rows = re.findall(
        r"^\| .* \| `(\S+)` \| `(\S+)` \| (generates|reports an error) \|$",
        (DOCS / "SDKS.md").read_text(),
        re.M,
    )
    assert {name: generator for name, generator, _ in rows} == {
        name: one.generator for name, one in LANGUAGES.items()
    }
    assert sum(result == "generates" for *_, result in rows) >= 20
