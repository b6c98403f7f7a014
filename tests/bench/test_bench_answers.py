"""The bench writes unique requests and takes only full right answers."""

import json

import pytest

from bench import answers
from bench.answers import Answer
from bench.plan import Kind


def plain(content: str = "yes", finish: str = "stop", tokens: int = 3) -> bytes:
    choice = {"message": {"content": content}, "finish_reason": finish}
    usage = {"completion_tokens": tokens}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def stream(*contents: str, finish: str = "stop", done: bool = True) -> bytes:
    chunks: list[dict[str, object]] = [
        {"choices": [{"delta": {"content": one}, "finish_reason": None}]}
        for one in contents
    ]
    chunks.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    chunks.append({"choices": [], "usage": {"completion_tokens": 2}})
    events = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"] * done
    return "".join(f"data: {event}\n\n" for event in events).encode()


def test_body__two_numbers__differ_only_in_the_prompt() -> None:
    one, two = (json.loads(answers.body("miss", "ok", n)) for n in (1, 2))
    assert one["messages"] != two["messages"]
    assert one["model"] == two["model"] == "ok"
    assert "stream" not in one


def test_body__stream__asks_for_usage() -> None:
    body = json.loads(answers.body("stream", "ok-31", 1))
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_pick__misses__spread_over_keys_and_never_repeat() -> None:
    picked = [answers.pick("miss", number, 4) for number in range(100)]
    assert {key for key, _ in picked} == {0, 1, 2, 3}
    assert len({prompt for _, prompt in picked}) == 100


def test_pick__hits__repeat_few_prompts_for_every_key() -> None:
    picked = {answers.pick("hit", number, 4) for number in range(1000)}
    assert picked == {(k, p) for k in range(4) for p in range(answers.HIT_PROMPTS)}


def test_problem__right_answers__none() -> None:
    assert answers.problem("miss", Answer(200, {}, plain()), expected="yes") == ""
    hit = Answer(200, {"x-valuecanvas-cache": "hit"}, plain())
    assert answers.problem("hit", hit, expected="yes") == ""
    whole = Answer(200, {}, stream("ye", "s") + b": cost 0.1\n\n")
    assert answers.problem("stream", whole, expected="yes") == ""


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("miss", Answer(429, {}, b"too many"), "status 429: too many"),
        ("miss", Answer(200, {}, b"<html>"), "JSONDecodeError"),
        ("miss", Answer(200, {}, b"[]"), "TypeError"),
        ("miss", Answer(200, {}, b'{"choices": []}'), "IndexError"),
        ("miss", Answer(200, {}, plain(content="no")), "content 'no'"),
        ("miss", Answer(200, {}, plain(finish="length")), "finish_reason 'length'"),
        ("miss", Answer(200, {}, plain(tokens=0)), "no usage"),
        ("hit", Answer(200, {"x-valuecanvas-cache": "miss"}, plain()), "cache: miss"),
        ("hit", Answer(200, {}, plain()), "cache: no header"),
        ("stream", Answer(200, {}, stream("yes", done=False)), "no [DONE]"),
        ("stream", Answer(200, {}, b""), "no [DONE]"),
        ("stream", Answer(200, {}, stream("ye")), "content 'ye'"),
        ("stream", Answer(200, {}, b'data: {"error": 1}\n\ndata: [DONE]'), "KeyError"),
    ],
)
def test_problem__anything_else__said_in_words(
    kind: Kind, answer: Answer, said: str
) -> None:
    assert said in answers.problem(kind, answer, expected="yes")


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("fetch", {"template": "words"}, "words"),
        ("flag", {"variant": "on"}, "on"),
        (
            "flags",
            {
                "flags": [
                    {"key": "bench-0", "variant": "on"},
                    {"key": "bench-1", "variant": "off"},
                    {"key": "other"},
                ]
            },
            "1",
        ),
    ],
)
def test_problem__what_only_the_gateway_has__is_judged_too(
    kind: Kind, told: dict[str, object], expected: str
) -> None:
    body = json.dumps(told).encode()
    assert answers.problem(kind, Answer(200, {}, body), expected=expected) == ""
    assert answers.problem(kind, Answer(200, {}, body), expected="else")
    assert answers.problem(kind, Answer(200, {}, b"{}"), expected=expected)
    assert answers.problem(kind, Answer(200, {}, b"<"), expected=expected)


def test_context__two_numbers__are_two_users() -> None:
    one, two = (json.loads(answers.context(n))["context"] for n in (1, 2))
    assert one["targetingKey"] != two["targetingKey"]
