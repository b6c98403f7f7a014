"""Chat streams with every habit that providers have, and what is said in them.

`facts` is a slow and simple reading of what an answer says, whole or streamed. It knows
nothing of how the gateway joins streams.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import strategies as st

TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "thinking")
VALUES = st.sampled_from(
    [None, "", "x", "yy", 0, 1, 2.5, True, False, [], {}, [{"a": 1}], {"b": "c"}]
)
WORDS = st.sampled_from(["", "a", "Hello ", "wörld", "{", '{"q": 1}'])


def _members(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """None, one or several of `names`, each with any value."""
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=2)


@st.composite
def call_pieces(draw: st.DrawFn) -> dict[str, Any]:
    """A piece of a tool call: complete or in part, with or without number and id."""
    kind = draw(st.sampled_from(["function", "function", "custom"]))
    text = "arguments" if kind == "function" else "input"
    piece: dict[str, Any] = draw(_members("type", "extra_content"))
    for name, values in (("index", [0, 0, 0, 1, None]), ("id", ["c1", "c2", "", None])):
        if draw(st.booleans()):
            piece[name] = draw(st.sampled_from(values))
    made = draw(_members("strict"))
    if draw(st.booleans()):
        made["name"] = draw(st.sampled_from(["read", "write", "", None]))
    made[text] = draw(st.sampled_from(["{}", '{"q": 1}', '{"q"', ": 1}", "", None]))
    return {**piece, kind: made}


@st.composite
def deltas(draw: st.DrawFn) -> dict[str, Any]:
    delta: dict[str, Any] = draw(
        _members("annotations", "thinking_blocks", "audio", "name", "extra", "images")
    )
    if draw(st.integers(0, 3)) == 0:
        delta["role"] = "assistant"
    for name in draw(st.lists(st.sampled_from(TEXTS), max_size=2, unique=True)):
        delta[name] = draw(WORDS)
    if draw(st.integers(0, 2)) == 0:
        delta["tool_calls"] = draw(st.lists(call_pieces(), max_size=2))
    return delta


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    part: dict[str, Any] = draw(_members("content_filter_results", "stop_reason"))
    part |= {"index": draw(st.integers(0, 1)), "delta": draw(deltas())}
    if draw(st.integers(0, 3)) == 0:
        part["logprobs"] = {"content": [{"token": draw(WORDS)}], "refusal": None}
    if draw(st.integers(0, 3)) == 0:
        part["finish_reason"] = draw(st.sampled_from(["stop", "tool_calls", None]))
    return part


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The chunks of one answer; the last one ends both choices."""
    chunks = []
    for _ in range(draw(st.integers(1, 5))):
        chunk: dict[str, Any] = draw(
            _members("service_tier", "citations", "x_groq", "usage", "obfuscation")
        )
        found = draw(st.lists(parts(), max_size=2))
        chunks.append(
            {"id": "c", "created": 1, "model": "m", **chunk, "choices": found}
        )
    return chunks


def facts(choices: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What the parts of an answer say, by where they say it."""
    said: dict[str, Any] = {}
    for choice in choices:
        where = f"choice {choice.get('index', 0)}"
        said.setdefault(f"{where} message role", "assistant")
        for name, value in choice.items():
            if name in ("delta", "message"):
                _read_message(said, where, value)
            elif name == "logprobs" and value:
                tokens = [orjson.dumps(one) for one in value.get("content") or ()]
                said.setdefault(f"{where} logprobs", []).extend(tokens)
            elif name != "index" and value not in (None, "", [], {}):
                # The state of the choice: saying it again says nothing new.
                known = said.setdefault(f"{where} {name}", [])
                if _frozen(value) not in known:
                    known.append(_frozen(value))
    return said


def _read_message(said: dict[str, Any], where: str, message: dict[str, Any]) -> None:
    for name, value in message.items():
        place = f"{where} message {name}"
        if value in (None, "", [], {}):
            continue
        if name == "role":
            # An assistant's, unless it says otherwise.
            said[place] = value
        elif name in TEXTS and isinstance(value, str):
            said[place] = said.get(place, "") + value
        elif name == "tool_calls":
            _read_calls(said.setdefault(place, []), value)
        else:
            known = said.setdefault(f"{place} parts", [])
            number = isinstance(value, int | float)
            if not (number and _frozen(value) in known):
                known.append(_frozen(value))


def _read_calls(calls: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    """Each call with its texts; a piece belongs to the last call of its number."""
    for piece in pieces:
        made = piece.get("function") or piece.get("custom") or {}
        number = piece.get("index")
        same = [one for one in calls if one["number"] == number]
        other = piece.get("id") and same and piece["id"] != same[-1]["id"]
        if not same or number is None or (other and made.get("name")):
            calls.append({"number": number, "id": piece.get("id") or "", "name": "",
                          "text": "", "more": []})  # fmt: skip
            same = [calls[-1]]
        call = same[-1]
        call["id"] = call["id"] or piece.get("id") or ""
        call["name"] += made.get("name") or ""
        call["text"] += made.get("arguments") or made.get("input") or ""
        for source in (piece, made):
            call["more"] += [
                (name, _frozen(value))
                for name, value in source.items()
                if name not in ("index", "id", "type", "function", "custom", "name",
                                "arguments", "input")
                and value not in (None, "", [], {})
            ]  # fmt: skip


def _frozen(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def without_numbers(said: dict[str, Any]) -> dict[str, Any]:
    """The same without the numbers of calls: in a whole answer their order tells."""
    found = dict(said)
    for place, calls in said.items():
        if place.endswith("message tool_calls"):
            in_order = sorted(calls, key=lambda one: one["number"] or 0)
            found[place] = [
                {**call, "number": 0, "more": sorted(set(call["more"]))}
                for call in in_order
            ]
    return found
