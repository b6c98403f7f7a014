"""Makes the demo provider's answers as a behaviour wants them: other, longer, cut."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from tests.fault_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider import answers, token_text
from valuecanvas.embedded.demo_provider.chat_request import DemoChatRequest
from valuecanvas.embedded.demo_provider.token_text import Usage

_FILTERED_TOKENS = 8
# Tokens of an answer after the point where it is cut.
_MARGIN = 8
_LIES: dict[str | None, Callable[[int], Any]] = {
    "negative": lambda count: -count,
    "huge": lambda _count: 10**12,
    "string": str,
    "low": lambda count: max(1, count // 1000),
}


@dataclass(frozen=True, slots=True)
class FaultAnswer(answers.Answer):
    """An answer whose usage is what the behaviour makes of it."""

    behaviour: Behaviour

    @property
    def usage(self) -> Usage | None:
        """The chat usage object, wrong or absent if the behaviour says so."""
        prompt_tokens = self.request.prompt_tokens
        return usage_report(prompt_tokens, self.completion_tokens, self.behaviour)


def compose(request: DemoChatRequest, behaviour: Behaviour) -> answers.Answer:
    """The answer: a pure function of the request and the behaviour."""
    answer: answers.Answer = _draft(request, behaviour)
    if behaviour.ignore_limit:
        size = max(len(answer.pieces), 2 * (request.limit or 0) + 50)
        answer = replace(answer, pieces=_sized(answer.pieces, size))
    else:
        answer = answers.limit(answer)
    if behaviour.filtered:
        pieces = answer.pieces[:_FILTERED_TOKENS]
        answer = replace(answer, pieces=pieces, finish="content_filter")
    return answer


def usage_report(prompt: int, completion: int, behaviour: Behaviour) -> Usage | None:
    """The chat usage object, wrong if the behaviour says so; None: no usage."""
    if behaviour.lie == "absent":
        return None
    falsify = _LIES.get(behaviour.lie, int)
    usage = token_text.usage_report(prompt, completion)
    usage["prompt_tokens_details"]["cached_tokens"] = min(behaviour.cached, prompt)
    first, second = falsify(prompt), falsify(completion)
    total = first + second if behaviour.lie != "string" else str(prompt + completion)
    counts = {"prompt_tokens": first, "completion_tokens": second}
    return {**usage, **counts, "total_tokens": total}


def _draft(request: DemoChatRequest, behaviour: Behaviour) -> FaultAnswer:
    """The answer before it is limited."""
    if behaviour.echo:
        pieces = token_text.split(request.last_user_text)
        return FaultAnswer(request, pieces, "stop", None, behaviour)
    demo = answers.draft(request)
    pieces = demo.pieces
    if not demo.tool and not request.json:
        size = _size(request, behaviour, len(pieces))
        pieces = _sized(pieces, size) if size else pieces
    return FaultAnswer(request, pieces, demo.finish, demo.tool, behaviour)


def _size(request: DemoChatRequest, behaviour: Behaviour, usual: int) -> int | None:
    """The number of tokens that the behaviour wants, if it differs from the usual one."""
    if behaviour.chunks is not None:
        usage_chunk = request.stream and request.include_usage
        return max(1, (behaviour.chunks - usage_chunk) // request.n - 2)
    if behaviour.tokens is not None:
        return behaviour.tokens
    least = behaviour.after + _MARGIN if behaviour.after else 0
    return least if least > usual else None


def _sized(pieces: list[str], size: int) -> list[str]:
    """`pieces` shortened or repeated to `size`, with the notice at the end."""
    notice = token_text.split(answers.NOTICE)
    if size <= len(notice):
        return pieces[:size]
    body = pieces[: len(pieces) - len(notice)] or pieces
    return [*islice(cycle(body), size - len(notice)), *notice]
