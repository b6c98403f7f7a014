"""Makes the answer's tokens from a request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import answer_schema, canvas, token_text
from valuecanvas.embedded.demo_provider.chat_request import DemoChatRequest, as_dict

NOTICE = "\n\n_This is a demo answer, not the work of a real model._"
_SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; with n > 1 every choice is the same.

    `pieces` are its tokens. Of a tool call the first one is the function's name, the
    others make up the arguments.
    """

    request: DemoChatRequest
    pieces: list[str]
    finish: str
    tool: Mapping[str, Any] | None

    @property
    def completion_tokens(self) -> int:
        """Tokens of all choices."""
        return len(self.pieces) * self.request.n

    @property
    def usage(self) -> token_text.Usage | None:
        """The chat usage object; None reports none."""
        prompt_tokens = self.request.prompt_tokens
        return token_text.usage_report(prompt_tokens, self.completion_tokens)

    @property
    def text(self) -> str:
        """The text of a choice; of a tool call, the arguments."""
        return "".join(self.pieces[1:] if self.tool else self.pieces)


def compose(request: DemoChatRequest) -> Answer:
    """The answer: a pure function of the request."""
    return limit(draft(request))


def draft(request: DemoChatRequest) -> Answer:
    """The answer of whatever length."""
    finish = "tool_calls" if request.tool else "stop"
    return Answer(request, _pieces(request), finish, request.tool)


def limit(answer: Answer) -> Answer:
    """The answer cut to the requested length."""
    most = answer.request.limit
    if most is None or len(answer.pieces) <= most:
        return answer
    return replace(answer, pieces=answer.pieces[:most], finish="length")


def _pieces(request: DemoChatRequest) -> list[str]:
    if request.tool:
        parameters = as_dict(request.tool.get("parameters"))
        arguments = answer_schema.example({"type": "object", **parameters})
        name: str = request.tool["name"]
        return [name, *token_text.split(orjson.dumps(arguments).decode())]
    if request.json:
        return token_text.split(orjson.dumps(_json(request)).decode())
    return token_text.split(_text(request) + NOTICE)


def _text(request: DemoChatRequest) -> str:
    """The answer as text, without the notice."""
    last = request.messages[-1]
    if last.role == "tool":
        result = " ".join(last.text.split())[:200]
        return f"The tool answered: {result}\n\nThat is all I need to go on."
    if about := _canvas_prompt(request):
        return canvas.markdown(about)
    return _advice(request.last_user_text)


def _json(request: DemoChatRequest) -> Any:
    """The answer as JSON: by the requested schema, or an object of our own."""
    prompt = _canvas_prompt(request)
    blocks = canvas.blocks(prompt) if prompt else {}
    if request.schema is not None:
        hints = {answer_schema.plain(title): lines for title, lines in blocks.items()}
        return answer_schema.example(request.schema, hints)
    own: Mapping[str, Any] = blocks or {"answer": _advice(request.last_user_text)}
    return {**own, "demo": True}


def _canvas_prompt(request: DemoChatRequest) -> str | None:
    """The prompt for a canvas, if one is asked for."""
    last = request.last_user_text
    system = " ".join(m.text for m in request.messages if m.role in _SYSTEM_ROLES)
    if "canvas" not in f"{system} {last}".lower():
        return None
    users = " ".join(m.text for m in request.messages if m.role == "user")
    return last if canvas.key_words(last) else f"{users} {system}"


def _advice(prompt: str) -> str:
    words = canvas.key_words(prompt, 3)
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
