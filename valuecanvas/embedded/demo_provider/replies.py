"""The words of the demo provider's plain answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import canvas, schema
from valuecanvas.embedded.demo_provider.chat_request import Asked
from valuecanvas.embedded.demo_provider.words import key_words

NOTICE = "\n\n_This is a demo answer, not the work of a real model._"


def text(asked: Asked) -> str:
    """The answer to a chat, without the notice at its end."""
    opening = _seen(asked)
    if asked.messages[-1].role == "tool":
        return opening + _after_tool(asked.messages[-1].text)
    if about := _canvas_prompt(asked):
        return opening + canvas.markdown(about)
    return opening + _advice(asked.last_user.text)


def json_text(asked: Asked) -> str:
    """The answer as JSON: fitting the asked schema, or an object of our own."""
    prompt = _canvas_prompt(asked)
    blocks = canvas.blocks(prompt) if prompt else {}
    if asked.schema is not None:
        hints = {schema.plain(title): lines for title, lines in blocks.items()}
        return orjson.dumps(schema.example(asked.schema, hints)).decode()
    own: Mapping[str, Any] = blocks or {"answer": _advice(asked.last_user.text)}
    return orjson.dumps({**own, "demo": True}).decode()


def _canvas_prompt(asked: Asked) -> str | None:
    """The prompt to draw a canvas from, if one is asked for."""
    told = [m.text for m in asked.messages if m.role in ("system", "developer")]
    last = asked.last_user.text
    if "canvas" not in " ".join([*told, last]).lower():
        return None
    if key_words(last):
        return last
    said = [m.text for m in asked.messages if m.role == "user"]
    return " ".join([*said, *told]) or last


def _seen(asked: Asked) -> str:
    images = asked.last_user.images
    if not images:
        return ""
    noun = "one image" if images == 1 else f"{images} images"
    return f"You sent {noun}; a demo can't look at pictures, so I go by the text.\n\n"


def _after_tool(result: str) -> str:
    brief = " ".join(result.split())[:200]
    return f"The tool answered: {brief}\n\nThat is all I need to go on."


def _advice(prompt: str) -> str:
    words = key_words(prompt, 3)
    if not words:
        return (
            "Hello! Ask me for a business model canvas, for example: "
            "'Business model canvas for a coffee roastery in Lisbon'."
        )
    first, second, third = (words * 3)[:3]
    return (
        f"Here is a short way to go about {' and '.join(words)}.\n\n"
        f"1. **Decide what you want from {first}.** One sentence, a number, a date.\n"
        f"2. **Try the smallest version of {second}.** A week is enough to learn.\n"
        f"3. **Measure {third} and ask those concerned.** Keep what works.\n\n"
        f"Tell me more about {first}, and I will go into detail."
    )
