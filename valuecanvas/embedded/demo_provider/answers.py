"""From a request and a behaviour to the answer, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

import orjson

from valuecanvas.embedded.demo_provider import replies, schema, tokens
from valuecanvas.embedded.demo_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider.chat_request import Asked, Tool

_FILTERED_TOKENS = 8
# How far an answer goes on past the place where it is to break off.
_MARGIN = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; with n > 1 every choice is the same.

    `pieces` are its tokens. Of a tool call the first one is the function's name, the
    others make up the arguments.
    """

    asked: Asked
    pieces: list[str]
    finish: str
    tool: Tool | None = None

    @property
    def completion_tokens(self) -> int:
        """Tokens of all choices."""
        return len(self.pieces) * self.asked.n

    @property
    def text(self) -> str:
        """The text of a choice; of a tool call, the arguments."""
        return "".join(self.pieces[1:] if self.tool else self.pieces)


def compose(asked: Asked, behaviour: Behaviour) -> Answer:
    """The answer: a pure function of the request and the behaviour."""
    pieces, finish, tool = _pieces(asked, behaviour)
    if behaviour.ignore_limit:
        pieces = _sized(pieces, max(len(pieces), 2 * (asked.limit or 0) + 50))
    elif asked.limit is not None and len(pieces) > asked.limit:
        pieces, finish = pieces[: asked.limit], "length"
    if behaviour.filtered:
        pieces, finish = pieces[:_FILTERED_TOKENS], "content_filter"
    return Answer(asked, pieces, finish, tool)


def _pieces(asked: Asked, behaviour: Behaviour) -> tuple[list[str], str, Tool | None]:
    if behaviour.echo:
        return tokens.split(asked.last_user.text), "stop", None
    if tool := asked.tool:
        wanted = {"type": "object", **tool.parameters}
        arguments = orjson.dumps(schema.example(wanted)).decode()
        return [tool.name, *tokens.split(arguments)], "tool_calls", tool
    if asked.json:
        return _stopped(tokens.split(replies.json_text(asked)), asked), "stop", None
    pieces = tokens.split(replies.text(asked) + replies.NOTICE)
    if size := _size(asked, behaviour, len(pieces)):
        pieces = _sized(pieces, size)
    return _stopped(pieces, asked), "stop", None


def _size(asked: Asked, behaviour: Behaviour, usual: int) -> int | None:
    """How many tokens the behaviour wants, if not the usual number."""
    if behaviour.chunks is not None:
        usage_chunk = asked.stream and asked.include_usage
        return max(1, (behaviour.chunks - usage_chunk) // asked.n - 2)
    if behaviour.tokens is not None:
        return behaviour.tokens
    cut = behaviour.cut
    if cut and cut.after and cut.after + _MARGIN > usual:
        return cut.after + _MARGIN
    return None


def _sized(pieces: list[str], size: int) -> list[str]:
    """`pieces` shortened or repeated to `size`, the notice still at their end."""
    notice = tokens.split(replies.NOTICE)
    if size <= len(notice):
        return pieces[:size]
    body = pieces[: len(pieces) - len(notice)] or pieces
    return [*islice(cycle(body), size - len(notice)), *notice]


def _stopped(pieces: list[str], asked: Asked) -> list[str]:
    """`pieces` up to the first stop sequence."""
    if not asked.stop:
        return pieces
    text = "".join(pieces)
    ends = [at for stop in asked.stop if (at := text.find(stop)) >= 0]
    return tokens.split(text[: min(ends)]) if ends else pieces
