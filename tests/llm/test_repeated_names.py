"""Whether JSON may name a field twice, told from its colons."""

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from llm.request.strict_json import may_repeat_names

# With colons and escapes: what a count of colons could be taken in by.
texts = st.text(alphabet='a:"\\\u00e9', max_size=3)
values = st.recursive(
    st.none() | texts | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.tuples(texts, inner), max_size=3).map(tuple)
    ),
    max_leaves=8,
)


def written(value: Any, escape: Any) -> str:
    """As JSON in which objects are tuples of pairs; some colons are escapes."""
    if isinstance(value, tuple):
        pairs = (f"{written(k, escape)} :{written(v, escape)}" for k, v in value)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(one, escape) for one in value) + "]"
    text = json.dumps(value)
    return text.replace(":", escape()) if isinstance(value, str) else text


@profile(max_examples=500, derandomize=True, deadline=None)
@given(value=values, data=st.data())
def test_names__given_twice__are_never_overlooked(value: Any, data: Any) -> None:
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated |= len(dict(pairs)) < len(pairs)

    raw = written(
        value, lambda: data.draw(st.sampled_from([":", "\\u003a", "\\u003A"]))
    )
    json.loads(raw, object_pairs_hook=look)
    found = may_repeat_names(raw.encode(), orjson.dumps(orjson.loads(raw)))
    assert found or not repeated


def test_names__each_once_and_spaced_out__need_no_second_look() -> None:
    raw = b'{"model": "x", "messages": [{"role": "user", "content": "a:b"}]}'
    assert not may_repeat_names(raw, orjson.dumps(orjson.loads(raw)))
