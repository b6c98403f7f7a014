"""Headers and numbers that a provider sends, however odd: a row of the table of failures."""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from llm.runtime import Runtime
from llm.upstream.http import MOST_RETRY_AFTER_S, retry_after
from tests.live.inside import Exchange, ask
from tests.live.scripted import DONE, HELLO, Asked, event, provider, said
from tests.live.world import World

pytestmark = pytest.mark.live

# What a caller may get where the only provider sends odd things: never a 500 of ours.
OUTCOMES = {200, 400, 404, 413, 422, 429, 502, 503, 504}
VALUES = [
    b"", b"0", b"-0", b"-1", b"1", b"2.5", b".5", b"1e3", b"1e999", b"nan", b"-inf",
    b"0x10", b"1_000", b"9" * 30, b"9" * 400, "٣".encode(), "²".encode(), b"\xff\xfe",
    b"1, 2", b"1;q=2", b"1s", b"6m0s", b"soon", b"true", b"null", b"{}", b'"1"',
    b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    b"Fri, 31 Dec 9999 23:59:59 -2359",
    b"Mon, 01 Jan 0001 00:00:00 +2359",
    b"Mon, 99 Jan 2026 99:99:99 GMT",
    b"Mon, 01 Jan 2026 00:00:00 +99999999999",
    b"Mon, , ,",
]  # fmt: skip
HEADERS = [
    b"Retry-After", b"retry-after-ms", b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-requests", b"RateLimit",
    b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Content-Type",
    b"Content-Range", b"Date", b"Age", b"Connection", b"Keep-Alive", b"Location",
    b"Set-Cookie", b"Link", b"Upgrade", b"openai-processing-ms",
]  # fmt: skip
NUMBERS: list[Any] = [
    0, -1, 1.5, 2**53, 2**63, 2**64 - 1, -(2**63), 1e308, True, None, "", "7", "²", [], {},
]  # fmt: skip


@profile(max_examples=500, derandomize=True, deadline=None)
@given(
    value=st.text(max_size=40)
    | st.sampled_from([one.decode("utf-8", "surrogateescape") for one in VALUES])
    | st.floats().map(str)
    | st.integers().map(str)
    | st.builds(
        "{}, {} {} {} {}:00:00 {}".format,
        st.sampled_from(["Mon", "", "٣"]),
        st.integers(-9, 99),
        st.sampled_from(["Jan", "13", "x"]),
        st.integers(0, 10**30),
        st.integers(-99, 99),
        st.sampled_from(["GMT", "", "+9999", "-99999999999", "EST"]),
    )
)
def test_retry_after__any_value__is_within_its_bounds(value: str) -> None:
    assert 0 <= retry_after(value) <= MOST_RETRY_AFTER_S


def assert_known(status: int, body: bytes) -> None:
    assert status in OUTCOMES, body
    if body.startswith(b"data:"):
        assert body.endswith(DONE) or b'"stream_interrupted"' in body


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500, 503])
async def test_headers__any_value__fail_over_or_are_an_outcome_of_the_table(
    indoors: World, gateway: Runtime, status: int
) -> None:
    drawn = random.Random(status)
    pairs = [(name, value) for name in HEADERS for value in VALUES]
    for name, value in drawn.sample(pairs, 30):
        answer = said(status, HELLO + DONE, name + b": " + value)
        async with provider(lambda asked, answer=answer: answer) as url:  # type: ignore[misc]
            served = indoors.serve_at((url, "m"))
            stream = drawn.random() < 0.5
            got = await ask(indoors, gateway, served.model, stream=stream)
        assert_known(got.status, got.body)


@pytest.mark.parametrize("status", [b"099", b"100", b"102", b"199", b"204", b"206", b"299",
                                    b"304", b"600", b"999", b"9999", b"-1", b"2.0", b""])  # fmt: skip
async def test_status__any__is_an_outcome_of_the_table(
    indoors: World, gateway: Runtime, status: bytes
) -> None:
    answer = b"HTTP/1.1 %b Odd\r\nConnection: close\r\n\r\n{}" % status
    async with provider(lambda asked: answer) as url:
        served = indoors.serve_at((url, "m"), total_s=1, first_token_s=1)
        got = await ask(indoors, gateway, served.model)
    assert_known(got.status, got.body)


def with_number(body: Any, path: list[Any], number: Any) -> Any:
    """`body` with `number` at `path`."""
    copy = orjson.loads(orjson.dumps(body))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = number
    return copy


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
         "prompt_tokens_details": {"cached_tokens": 1}}  # fmt: skip
CALL = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
CHOICE = {"index": 0, "finish_reason": "stop", "logprobs": None}
WHOLE = {"id": "c", "created": 1, "usage": USAGE, "choices": [
    {**CHOICE, "message": {"content": "Hi.", "tool_calls": [CALL]}}]}  # fmt: skip
CHUNK = {"id": "c", "created": 1, "usage": USAGE, "choices": [
    {**CHOICE, "delta": {"content": "Hi.", "tool_calls": [CALL]}}]}  # fmt: skip
ERROR = {"error": {"message": "No.", "code": 400, "status": 400, "param": 1, "type": 1}}
PATHS: list[tuple[str, list[Any]]] = [
    ("whole", ["created"]),
    ("whole", ["choices", 0, "index"]),
    ("whole", ["choices", 0, "finish_reason"]),
    ("whole", ["choices", 0, "logprobs"]),
    ("whole", ["choices", 0, "message", "tool_calls", 0, "index"]),
    *(("whole", ["usage", name]) for name in USAGE),
    ("whole", ["usage", "prompt_tokens_details", "cached_tokens"]),
    ("error", ["error", "code"]),
    ("error", ["error", "status"]),
    ("error", ["error", "param"]),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: "-".join(map(str, path[1])))
async def test_numbers__in_a_body__are_an_outcome_of_the_table(
    indoors: World, gateway: Runtime, path: tuple[str, list[Any]], stream: bool
) -> None:
    form, place = path
    if stream and "message" in place:
        place = ["delta" if step == "message" else step for step in place]
    body = ERROR if form == "error" else CHUNK if stream else WHOLE

    def answer(asked: Asked) -> bytes:
        number = NUMBERS[int(asked.text.partition("#")[2])]
        odd = with_number(body, place, number)
        return said(200, event(odd) + HELLO + event(CHUNK) + DONE if stream else odd)

    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"))
        for at in range(len(NUMBERS)):
            text = f"{random.random()} #{at}"
            got = await ask(indoors, gateway, served.model, text=text, stream=stream)
            assert_known(got.status, got.body)


@pytest.mark.parametrize("number", NUMBERS, ids=str)
async def test_numbers__of_native_events__are_an_outcome_of_the_table(
    indoors: World, gateway: Runtime, number: Any
) -> None:
    deltas = [
        event({"type": "response.output_text.delta", "delta": "Hi.",
               "sequence_number": number, "output_index": number}),
        event({"type": "response.failed", "sequence_number": number}),
    ]  # fmt: skip
    async with provider(lambda asked: said(200, b"".join(deltas))) as url:
        served = indoors.serve_at((url, "m"), provider_kind="openai")
        body = {"model": served.model, "input": "Hi.", "stream": True}
        exchange = Exchange(
            gateway, "/v1/responses", orjson.dumps(body), key=indoors.key
        )
        got = await exchange.run()
    assert got.status == 200
    assert b'"response.failed"' in got.body


@pytest.mark.parametrize("value", VALUES[-6:])
async def test_retry_after__that_is_no_date__is_waited_for_and_fails_over(
    indoors: World, gateway: Runtime, value: bytes
) -> None:
    header = b"Retry-After: " + value
    async with (
        provider(lambda asked: said(429, b"", header)) as bad,
        provider() as good,
    ):
        served = indoors.serve_at((bad, "m"), (good, "m"))
        got = await ask(indoors, gateway, served.model)
        assert got.headers["x-valuecanvas-provider"] == served.providers[1]
        alone = indoors.serve_at((bad, "m"))
        refused = await ask(indoors, gateway, alone.model)
    assert (refused.status, refused.error["code"]) == (429, "providers_throttled")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
