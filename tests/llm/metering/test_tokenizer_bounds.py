"""What a count of the prompt holds, over what a tokenizer makes of the same text."""

import base64
import inspect
import json
import random
from dataclasses import replace
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.metering import tokenizer, tokens
from llm.metering.prompt_text import split_prompt
from llm.metering.tokenizer import Tokenizer, count, load_encoding
from llm.request import shape as checks
from llm.resolve import plan

dice = random.Random(7)
ENGLISH = (
    "The gateway holds money for a request before it is sent, and gives back what was "
    "not needed once the answer has ended. A budget therefore never passes its limit, "
    "however many processes answer at once; whoever has reached it is told how much is "
    "left, when it starts anew, and what a smaller request would cost.\n\n"
)
GERMAN = (
    "Die Schnittstelle reserviert das Geld für eine Anfrage, bevor sie gesendet wird, "
    "und gibt zurück, was nicht gebraucht wurde. Ein Haushaltsbudget überschreitet "
    "deshalb niemals seine Obergrenze, gleichgültig wie viele Prozesse gleichzeitig "
    "antworten; wer sie erreicht hat, erfährt die Höhe des verbleibenden Betrages.\n\n"
)
CHINESE = (
    "网关在发送请求之前预留资金，回答结束后退还未使用的部分。因此，无论有多少进程同时"
    "应答，预算都不会超过上限；达到上限的用户会被告知剩余金额、何时重新开始，以及较小的"
    "请求需要多少费用。\n\n"
)
# Text -> the most that may be held over what o200k itself makes of it, in its family
# and in others.
TEXTS: dict[str, tuple[str, float, float]] = {
    "English": (ENGLISH * 200, 1.5, 1.5),
    "German": (GERMAN * 200, 1.5, 1.5),
    "Chinese": (CHINESE * 200, 1.5, 1.5),
    "code": (inspect.getsource(json.decoder) * 3, 1.5, 1.5),
    "digits": ("".join(str(dice.randrange(10)) for _ in range(60_000)), 1.5, 1.5),
    "base64": (base64.b64encode(dice.randbytes(45_000)).decode(), 1.5, 1.5),
}
DOCS = Path("docs/OPERATIONS.md")
# The doc's column -> a model whose tokenizer it is.
MODELS = {"o200k": "gpt-4o", "others": "llama"}


def body(text: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def held(text: str, model: str, *, counted: bool = True) -> int:
    """Tokens of prompt held for a chat of one message."""
    shape = checks.chat(body(text))
    if counted:
        found = tokenizer._counted("chat", body(text), shape, 10**9, float("inf"))
        shape = replace(shape, counted=found)
    candidate: Any = SimpleNamespace(upstream_model=model)
    return plan.most_prompt(shape, candidate)


def real(text: str) -> int:
    return len(load_encoding().encode_ordinary(text))


@pytest.mark.parametrize("name", TEXTS)
def test_hold__counted__is_at_most_half_again_what_is_real(name: str) -> None:
    text, own, others = TEXTS[name]
    true = real(text)
    assert true <= held(text, MODELS["o200k"]) <= own * true
    assert tokens.OTHERS * true <= held(text, MODELS["others"]) <= others * true
    assert held(text, "gpt-4o") <= held(text, "gpt-4o", counted=False)


@pytest.mark.parametrize("name", TEXTS)
def test_hold__over_real__is_as_the_docs_say(name: str) -> None:
    text = TEXTS[name][0]
    shares = [
        held(text, "m", counted=False) / real(text),
        *(held(text, model) / real(text) for model in MODELS.values()),
    ]
    rows = (line.split("|") for line in DOCS.read_text(encoding="utf-8").splitlines())
    told = next(row[2:5] for row in rows if len(row) == 6 and row[1].strip() == name)
    assert [float(one) for one in told] == pytest.approx(shares, rel=0.05)


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, " " * 1_000_000, "\n" * 100_000, "!" * 100_000, "\u0300" * 50_000],
)
def test_count__one_letter_without_end__is_counted(text: str) -> None:
    found = count([text], enough=len(text.encode()))
    assert found is not None
    assert 0 < found <= len(text.encode())


def test_count__more_than_enough_or_out_of_time__is_not_told() -> None:
    assert count([ENGLISH] * 1000, enough=1000) is None
    assert count([ENGLISH], enough=1000, until=0.0) is None


TEXT = st.text(max_size=80)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}))
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system"]), "content": TEXT | PARTS}
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(messages=st.lists(MESSAGE, min_size=1, max_size=6), schema=TEXT)
def test_hold__any_chat__is_no_less_than_its_texts(
    messages: list[dict[str, Any]], schema: str
) -> None:
    whole = {"model": "m", "messages": messages, "tools": [{"description": schema}]}
    shape = checks.chat(whole)
    found = tokenizer._counted("chat", whole, shape, 10**9, float("inf"))
    assert found is not None
    said = [one["content"] for one in messages]
    texts = [t for c in said for t in ([c] if isinstance(c, str) else [p["text"] for p in c])]  # fmt: skip
    # Four tokens frame a message, and three begin the answer.
    least = sum(map(real, texts)) + real(schema) + 4 * len(messages) + 3
    framing = shape.prompt_most - shape.prompt_bytes
    assert found.most("gpt-4o") + framing >= least


def test_parted__tokens_of_an_embedding_and_data__are_left_out() -> None:
    picture = "data:image/png;base64,AAAA"
    part = {"type": "image_url", "image_url": {"url": picture}}
    texts, rest = split_prompt("chat", body([part]), [picture])
    assert texts == ["user", "image_url"]
    assert "AAAA" not in rest
    texts, rest = split_prompt(
        "embeddings", {"input": [[12345, 67890], "hi"], "dimensions": 9}
    )
    assert (texts, rest) == (["hi"], '{"input":[[],""],"dimensions":9}')


async def test_closer__counted_once__is_not_counted_again() -> None:
    counter = Tokenizer()
    shape = checks.chat(body(ENGLISH))
    closer = await counter.count("chat", body(ENGLISH), shape, 10_000)
    assert closer.counted is not None
    assert real(ENGLISH) < closer.prompt_tokens < shape.prompt_tokens
    assert await counter.count("chat", body(ENGLISH), closer, 1) is closer
    assert await counter.count("chat", body(ENGLISH), shape, 1) is shape
    counter.close()


async def test_closer__cannot_be_told_in_time__leaves_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counter = Tokenizer()
    monkeypatch.setattr(tokenizer, "WITHIN_S", 0.0)
    shape = checks.chat(body(ENGLISH * 100))
    assert await counter.count("chat", body(ENGLISH), shape, 10**9) is shape
    counter.close()


@pytest.mark.parametrize(
    ("model", "factor"),
    [
        ("gpt-4o", 1), ("openai/gpt-5-mini", 1), ("o3", 1), ("gpt-oss-20b", 1),
        ("gpt-4", 1.35), ("text-embedding-3-small", 1.35), ("meta-llama/Llama-3", 1.35),
    ],
)  # fmt: skip
def test_counted__of_other_families__is_more(model: str, factor: float) -> None:
    assert tokens.Counted(1000, 7, digits=50).most(model) == ceil(1007 * factor)


@pytest.mark.parametrize("model", ["Qwen/Qwen2.5-7B", "mistral-small", "smollm2-135m"])
def test_counted__of_models_with_a_token_for_each_digit__has_them(model: str) -> None:
    assert held(TEXTS["digits"][0], model) >= len(TEXTS["digits"][0])


@pytest.mark.parametrize("model", ["llama", "qwen"])
@pytest.mark.parametrize("name", ["German", "digits"])
def test_hold__text_in_a_tool__is_no_less_than_others_make_of_it(
    name: str, model: str
) -> None:
    """Where a text stands changes nothing of how other tokenizers part it."""
    text = TEXTS[name][0]
    tool = {"type": "function", "function": {"name": "f", "description": text}}
    whole = {**body("Hi."), "tools": [tool]}
    found = tokenizer._counted("chat", whole, checks.chat(whole), 10**9, float("inf"))
    assert found is not None
    alone = len(text) if (name, model) == ("digits", "qwen") else 0
    assert found.most(model) >= max(tokens.OTHERS * real(text), alone)
