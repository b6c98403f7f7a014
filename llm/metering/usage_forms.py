"""Reads the usage that providers report, in all known forms.

Some count apart what others count inside: reasoning (xAI, Gemini, Perplexity), or
tokens read from or written to a cache (Anthropic). Their total shows which it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# No context is as long: a larger count is ignored.
CREDIBLE = 10_000_000
# Of the prompt and the answer together.
_MOST = 2 * CREDIBLE
_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_READ = frozenset(
    {"cached_tokens", "cache_read_input_tokens", "prompt_cache_hit_tokens",
     "cache_read_tokens", "num_cached_tokens"}
)  # fmt: skip
_WRITTEN = frozenset(
    {"cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens",
     "cache_write_input_tokens"}
)  # fmt: skip
_REASONING = frozenset({"reasoning_tokens", "thinking_tokens"})
# In Anthropic's own form these two are counted beside the input.
_BESIDES = ("cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True, slots=True)
class Reported:
    """The token counts of a provider; None: no count, or an impossible one.

    `cached` and `written` tokens of the `prompt` were read from and written to its
    cache; `reasoning` is a part of the `completion`.
    """

    prompt: int | None
    completion: int | None
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    # Whether the parts and the total agree; if not, the larger is used.
    agrees: bool = True


def find(answer: Json) -> Any:
    """The usage in a whole answer or in a chunk of a stream."""
    return answer.get("usage") or beside(answer)


def beside(answer: Json) -> Any:
    """The usage of a stream where Groq (`x_groq`) and Moonshot (in a choice) put it."""
    if "x_groq" in answer:
        groq = answer["x_groq"]
        if isinstance(groq, dict) and groq.get("usage"):
            return groq["usage"]
    choices = answer.get("choices")
    if type(choices) is not list:
        return None
    for choice in choices:
        if type(choice) is dict and choice.get("usage"):
            return choice["usage"]
    return None


def parse(usage: Json, *, answers: bool = True) -> Reported:
    """Read the counts in `usage`. Without `answers` in tokens, all is prompt."""
    prompt, completion, total = _counts(usage, answers=answers)
    prompt, total, fits = _prompt(usage, prompt, completion, total)
    if prompt is None or completion is None:
        return _parted(usage, prompt, completion, fits=True)
    if not answers:
        larger = max(prompt, _rest(total, completion))
        return _parted(usage, larger, completion, fits=fits and larger == prompt)
    reasoning = _part(usage, "completion", _REASONING)
    left = None if total is None else total - prompt
    whole, fitting = _completion(completion, reasoning, left)
    return _parted(usage, prompt, whole, reasoning, fits=fits and fitting)


def _counts(usage: Json, *, answers: bool) -> tuple[int | None, int | None, int | None]:
    """The prompt, completion and total; a missing part is the rest of the total."""
    total = count(usage.get("total_tokens"))
    prompt, completion = _largest(usage, _PROMPT), _largest(usage, _COMPLETION)
    if completion is None and not answers:
        completion = 0
    if total is None:
        if completion is None and usage.keys().isdisjoint(_COMPLETION):
            completion = 0
    elif prompt is None and completion is not None:
        prompt = _rest(total, completion)
    elif completion is None and prompt is not None:
        completion = _rest(total, prompt)
    return prompt, completion, total


def count(value: Any) -> int | None:
    """A count of tokens; None for anything else. Some write 12.0 for 12."""
    if type(value) is float and value.is_integer():
        value = int(value)
    # Exactly: true is an int as well.
    return value if type(value) is int and 0 <= value <= _MOST else None


def _rest(total: int | None, other: int | None) -> int:
    return max(0, (total or 0) - (other or 0))


def _prompt(
    usage: Json, prompt: int | None, completion: int | None, total: int | None
) -> tuple[int | None, int | None, bool]:
    """The whole prompt, the total, and whether the prompt's own parts fit it."""
    misses = count(usage.get("prompt_cache_miss_tokens"))
    if misses is not None:
        hits = count(usage.get("prompt_cache_hit_tokens")) or 0
        fits = prompt in (None, hits + misses)
        return max(prompt or 0, hits + misses), total, fits
    if prompt is None or completion is None:
        return prompt, total, True
    sources = _within(usage.get("citation_tokens"))
    if total == prompt + completion:
        # Perplexity reads what it has found as input, and counts it in no total.
        total += sources
    prompt += sources
    return prompt + _besides(usage, prompt, completion, total), total, True


def _besides(usage: Json, prompt: int, completion: int, total: int | None) -> int:
    """Tokens read from and written to a cache, if the prompt's count excludes them."""
    aside = sum(_within(usage.get(name)) for name in _BESIDES)
    if total is not None:
        left_out = total - prompt - completion == aside
    else:
        left_out = "prompt_tokens" not in usage
    return aside if left_out or aside > prompt else 0


def _completion(completion: int, reasoning: int, left: int | None) -> tuple[int, bool]:
    """The whole completion, and whether it agrees with `left`, the rest of the total."""
    apart = completion + reasoning
    least = apart if reasoning > completion else completion
    if left is None:
        return least, least == completion
    return max(least, left), left >= least and left in (completion, apart)


def _parted(
    usage: Json,
    prompt: int | None,
    completion: int | None,
    reasoning: int = 0,
    *,
    fits: bool,
) -> Reported:
    cached, written = _part(usage, "prompt", _READ), _part(usage, "prompt", _WRITTEN)
    most = prompt or 0
    return Reported(
        prompt,
        completion,
        cached=min(cached, most),
        written=min(written, most - min(cached, most)),
        reasoning=min(reasoning, completion or 0),
        agrees=fits and (prompt is None or cached + written <= prompt),
    )


def _largest(usage: Json, names: tuple[str, ...]) -> int | None:
    found = [one for name in names if (one := count(usage.get(name))) is not None]
    return max(found, default=None)


def _part(usage: Json, kind: str, names: frozenset[str]) -> int:
    """A part of the prompt or completion, from its details or beside them."""
    for place in (*_details(usage, kind), usage):
        for name, value in place.items():
            if name in names and (found := _within(value)):
                return found
    return 0


def _details(usage: Json, kind: str) -> Iterator[Json]:
    for name in _PROMPT if kind == "prompt" else _COMPLETION:
        details = usage.get(f"{name}_details")
        if isinstance(details, dict):
            yield details


def _within(value: Any) -> int:
    """The count of a part; 0 if it is not credible."""
    found = (count(value) or 0) if value else 0
    return found if found <= CREDIBLE else 0
