"""Values of variables: missing, unknown, of the wrong kind; and their text."""

import pytest

from prompts.rendering import variables
from prompts.rendering.variables import Declaration, check
from valuecanvas.core.errors import InvalidRequest

NAME = Declaration("name")
TONE = Declaration("tone", default="friendly")
COUNT = Declaration("count", schema={"type": "integer", "minimum": 1})


def nest(depth) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def refused(declared, given) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check(declared, given)
    return caught.value


def test_check__all_given__gives_their_texts():
    assert check([NAME, TONE], {"name": "Ann", "tone": "dry"}) == {
        "name": "Ann",
        "tone": "dry",
    }


def test_check__left_out__takes_the_default():
    assert check([NAME, TONE], {"name": "Ann"})["tone"] == "friendly"


def test_check__null__counts_as_left_out():
    assert check([TONE], {"tone": None}) == {"tone": "friendly"}
    assert refused([NAME], {"name": None}).extra["missing"] == ["name"]


def test_check__missing_and_unknown__names_them_all():
    error = refused([NAME, COUNT, TONE], {"nmae": "Ann", "x": 1})

    assert error.status == 400
    assert error.code == "invalid_prompt_variables"
    assert error.message == (
        "Missing prompt variables: 'name', 'count'. "
        "Unknown prompt variables: 'nmae', 'x'."
    )
    assert error.extra == {"missing": ["name", "count"], "unknown": ["nmae", "x"]}


def test_check__many_unknown__names_twenty():
    error = refused([], {f"n{i}": "x" for i in range(25)})

    assert error.message.endswith("'n19' and 5 more.")
    assert len(error.extra["unknown"]) == 20


def test_check__a_huge_name__is_cut():
    assert len(refused([], {"n" * 100_000: "x"}).message) < 1000


@pytest.mark.parametrize("value", [0, "3", 1.5, True, None.__class__, [1]])
def test_check__against_the_schema__names_the_variable_and_why(value):
    given = str(value) if isinstance(value, type) else value
    error = refused([COUNT], {"count": given})

    assert error.code == "invalid_prompt_variable"
    assert error.param == "prompt.variables.count"
    assert error.message.startswith("Variable 'count' does not match its schema: ")


def test_check__fitting_the_schema__passes():
    assert check([COUNT], {"count": 3}) == {"count": "3"}


def test_check__a_long_value__is_not_told_whole():
    short = Declaration("s", schema={"maxLength": 3})

    assert len(refused([short], {"s": "x" * 50_000}).message) < 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as is \n{{x}}", "as is \n{{x}}"),
        ("", ""),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (2**70, str(2**70)),
        (["å", 1, None], '["å",1,null]'),
        ({"b": {"a": "ü"}}, '{"b":{"a":"ü"}}'),
    ],
)
def test_text__of_each_kind__is_the_string_or_json(value, text):
    assert variables.text(value) == text


def test_text__nested_too_deeply__is_refused():
    error = refused([NAME], {"name": nest(100_000)})

    assert "too deeply" in error.message


def test_schema__recursing_too_deeply__is_refused():
    nested = Declaration("n", schema={"items": {"$ref": "#"}})

    assert "too deeply" in refused([nested], {"n": nest(900)}).message


def test_schema__referring_to_nothing__is_told():
    lost = Declaration("n", schema={"$ref": "#/$defs/none"})

    assert "unknown" in refused([lost], {"n": 1}).message


def test_check__patterns__are_searched_for_as_ever():
    mail = [Declaration("x", schema={"pattern": r"^\S+@\S+\.\S+$"})]
    plain = [Declaration("x", schema={"pattern": "^[^<>]*$"})]
    named = [
        Declaration("x", schema={"patternProperties": {"_id$": {"type": "integer"}}})
    ]

    assert check(mail, {"x": "ann@example.com"}) == {"x": "ann@example.com"}
    assert "does not match" in refused(mail, {"x": "ann"}).message
    assert check(mail, {"x": 1}) == {"x": "1"}
    assert len(check(plain, {"x": "y" * 900_000})["x"]) == 900_000
    assert check(named, {"x": {"a_id": 1, "b": "c"}})
    assert "not of type" in refused(named, {"x": {"a_id": "1"}}).message
    assert check(named, {"x": []}) == {"x": "[]"}


def test_check__unique_items_of_many_kinds__are_told_apart_at_once():
    tags = [Declaration("x", schema={"uniqueItems": True})]
    many = [item for at in range(25_000) for item in (at, f"{at}")]

    assert len(check(tags, {"x": many})["x"]) > 50_000
    assert "non-unique" in refused(tags, {"x": [*many, {"a": 1}, {"a": 1}]}).message
    assert check(tags, {"x": [1, True, "1", {"a": 1, "b": 2}]})
    assert "non-unique" in refused(tags, {"x": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}).message  # fmt: skip
    assert check(tags, {"x": "aa"}) == {"x": "aa"}
    assert check([Declaration("x", schema={"uniqueItems": False})], {"x": [1, 1]})


def test_check__many_values__share_the_steps_of_one_request():
    half = {"items": {"type": "integer"}}
    two = [Declaration("a", schema=half), Declaration("b", schema=half)]
    value = [1] * 25_000

    assert check(two[:1], {"a": value})
    error = refused(two, {"a": value, "b": value})

    assert error.param == "prompt.variables.b"
    assert "Checking it takes too long" in error.message


def test_schema__with_local_references__works():
    tags = Declaration("t", schema={"items": {"$ref": "#/$defs/t"}, "$defs": {"t": {"type": "string"}}})  # fmt: skip

    assert check([tags], {"t": ["a"]}) == {"t": '["a"]'}
    assert "is not of type" in refused([tags], {"t": [1]}).message


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([], "is an object"),
        ({"type": "strin"}, "strin"),
        ({"$ref": "https://example.com/schema"}, "outside"),
        ({"items": [{"$ref": "file:///etc/passwd"}]}, "/items"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "outside"),
        ({"anyOf": [{"$dynamicRef": "#x"}]}, "'$dynamicRef' is not supported"),
        ({"$id": "https://example.com/x"}, "'$id' is not supported"),
        ({"then": {"unevaluatedItems": False}}, "use 'items' and"),
        ({"$ref": "#/$defs/none"}, "'#/$defs/none', which is no schema"),
        ({"$ref": "#/enum/0", "enum": [{}]}, "which is no schema"),
        ({"pattern": "("}, "The pattern '(' can't be used: it is not understood"),
        ({"pattern": "(" * 500}, "is not understood"),
        ({"pattern": "a" * 1001}, "more than 1,000 characters"),
        ({"patternProperties": {"(?=a)": {}}}, "look-ahead"),
        (
            {
                "anyOf": [
                    {"pattern": "\\w{90}a"},
                    {"pattern": "\\w{90}b"},
                    {"pattern": "\\w{90}c"},
                ]
            },
            "All patterns together",
        ),
        ({"$comment": "x" * 20_000}, "more than 20,000 characters"),
        ({"default": nest(60)}, "more than 50 levels"),
        ({"default": nest(900)}, "more than 50 levels"),
        ({"$ref": "#"}, "form cycles"),
        (
            {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}},
            "form cycles",
        ),
    ],
)
def test_schema__that_cannot_be_used__is_told(schema, why):
    problem = variables.schema_problem(schema)

    assert problem is not None
    assert why in problem


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string", "pattern": r"^(ab)+-\d+$"},
        {"pattern": r"^(?:a|b)[(]x+[)]\)*(c{2})*$"},
        {"anyOf": [{"patternProperties": {"^x-": {"type": "string"}}}]},
        {"enum": ["a", 1]},
        {"items": {"$ref": "#"}},
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "integer"}}},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": True}},
        {"pattern": r"^(a+)+\p{L}(?:a|a)*$", "default": {"pattern": "("}},
    ],
)
def test_schema__that_can_be_used__is_fine(schema):
    assert variables.schema_problem(schema) is None


def test_read__stored_rows__become_declarations():
    rows = [{"name": "a"}, {"name": "b", "description": "B", "default": 1, "schema": {"type": "integer"}}]  # fmt: skip

    first, second = variables.load_variables(rows)

    assert (first.required, second.required) == (True, False)
    assert second == Declaration("b", "B", 1, {"type": "integer"})
