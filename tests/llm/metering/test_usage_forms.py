"""Usage in every provider's form: in whole answers, in streams, as a Response."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm import dialects
from llm.metering import usage_forms
from llm.metering.provider_usage import Own, billed_tokens
from llm.types import TokenUse
from tests.llm.dialects.test_dialects_readers import candidate, chat_reader, held
from tests.llm.dialects.test_dialects_readers import read as read_event
from tests.llm.usage_table import FORMS, Form, Json, chat

PROMPT = Own(count=100, most=3000, enough=10, least=lambda: 5)
COMPLETION = Own(count=50, most=3000, enough=10, least=lambda: 5)
TABLE = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def bill(told: Any) -> TokenUse:
    return billed_tokens(told, PROMPT, COMPLETION)


def check(form: Form, told: Any) -> None:
    tokens = bill(told)
    assert (tokens.prompt, tokens.completion) == (form.prompt, form.completion)
    assert (tokens.cached, tokens.written) == (form.cached, form.written)
    assert (tokens.source, tokens.marks) == ("provider", form.marks)


def answer(**more: Any) -> Json:
    message = {"role": "assistant", "content": "Hi."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"choices": [choice], **more}


def whole(endpoint: str, kind: str, parsed: Json) -> Any:
    dialect = dialects.choose(endpoint, candidate(kind))
    asked = held(messages=[], input="hi")
    return dialect.whole(asked, parsed, orjson.dumps(parsed))


@TABLE
def test_whole__every_form__is_billed_as_the_provider_does(form: Form) -> None:
    check(form, whole("chat", "compatible", answer(usage=form.told)).usage)


def _last(told: Json) -> list[Json]:
    return [{"choices": [], "usage": told}]


def _with_the_end(told: Json) -> list[Json]:
    return [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": told}
    ]


def _groq(told: Json) -> list[Json]:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [{"choices": [choice], "usage": None, "x_groq": {"id": "r", "usage": told}}]


def _moonshot(told: Json) -> list[Json]:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": told}
    return [{"choices": [choice]}]


def _every_chunk(told: Json) -> list[Json]:
    first = {"choices": [{"index": 0, "delta": {}}], "usage": chat(1000, 1, 1001)}
    return [first, *_with_the_end(told)]


PLACES = pytest.mark.parametrize(
    "placed", [_last, _with_the_end, _groq, _moonshot, _every_chunk]
)


def events(placed: Any, told: Json) -> list[Json]:
    begin = {
        "choices": [{"index": 0, "delta": {"content": "Hi."}}],
        "x_groq": {"id": "r"},
    }
    return [begin, *placed(told)]


@PLACES
@TABLE
@pytest.mark.parametrize("asked", [False, True])
def test_stream__every_form_and_place__is_billed_as_the_provider_does(
    form: Form, placed: Any, asked: bool
) -> None:
    reader = chat_reader(include_usage=asked)
    for event in events(placed, form.told):
        read_event(reader, event)
    check(form, reader.usage)


@PLACES
@TABLE
def test_translated_stream__every_form_and_place__is_billed_and_told(
    form: Form, placed: Any
) -> None:
    reader = dialects.choose("responses", candidate()).reader(held(stream=True))
    for event in events(placed, form.told):
        read_event(reader, event)
    check(form, reader.usage)
    *_, last, done = reader.ending().split(b"data: ")
    assert done.strip() == b"[DONE]"
    told(form, orjson.loads(last)["response"]["usage"])


@TABLE
def test_translated_answer__every_form__is_billed_and_told(form: Form) -> None:
    found = whole("responses", "compatible", answer(usage=form.told))
    check(form, found.usage)
    told(form, orjson.loads(found.body)["usage"])


def told(form: Form, shown: Json) -> None:
    """What the client of a translated Response is shown is what is billed."""
    check(form._replace(marks=()), shown)
    assert shown["total_tokens"] == form.prompt + form.completion


@TABLE
def test_native_response__every_form__is_billed_as_the_provider_does(
    form: Form,
) -> None:
    response = {"status": "completed", "output": [], "usage": form.told}
    check(form, whole("responses", "openai", response).usage)
    reader = dialects.choose("responses", candidate("openai")).reader(held(stream=True))
    read_event(reader, {"type": "response.completed", "response": response})
    check(form, reader.usage)


@pytest.mark.parametrize(
    "told",
    [{"prompt_tokens": 8, "total_tokens": 8}, {"total_tokens": 8}, {"prompt_tokens": 8},
     {"prompt_tokens": 5, "total_tokens": 8}],
)  # fmt: skip
def test_embeddings__whatever_is_told__all_is_prompt(told: Json) -> None:
    tokens = billed_tokens(told, PROMPT, Own(0, 0, 0, lambda: 0))
    assert (tokens.prompt, tokens.completion, tokens.source) == (8, 0, "provider")


NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.integers(0, 4000),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
)
NAMES = [
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens",
    "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
    "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens", "citation_tokens",
]  # fmt: skip
INSIDE = st.dictionaries(st.sampled_from(NAMES), NUMBERS, max_size=6)
USAGE = st.builds(
    lambda flat, prompt, completion: {
        **flat,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": completion,
    },
    st.dictionaries(st.sampled_from(NAMES), NUMBERS),
    NUMBERS | INSIDE,
    NUMBERS | INSIDE,
)


@given(USAGE)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_usage__whatever_its_numbers__is_billed_within_what_was_held(
    usage: Json,
) -> None:
    tokens = bill(usage)
    assert 0 <= tokens.prompt <= 3000 * 1.05 + 16
    assert 0 <= tokens.completion <= 3000 * 1.05 + 16
    assert 0 <= tokens.cached <= tokens.prompt
    assert 0 <= tokens.written <= tokens.prompt - tokens.cached
    assert {type(one) for one in (tokens.prompt, tokens.completion)} == {int}
    whole("responses", "compatible", answer(usage=usage))


@given(st.integers(0, 900), st.integers(0, 900), st.integers(0, 900))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_parts_and_total__in_any_relation__the_larger_is_told(
    prompt: int, completion: int, more: int
) -> None:
    for total in (prompt + completion + more, max(0, prompt + completion - more)):
        found = usage_forms.parse(chat(prompt, completion, total))
        assert found.prompt == prompt
        assert prompt + (found.completion or 0) == max(total, prompt + completion)
        assert found.agrees == (total == prompt + completion)
