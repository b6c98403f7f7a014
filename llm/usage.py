"""The provider's count of tokens, checked against what can be true."""

from dataclasses import dataclass
from typing import Any

from llm.types import Tokens

# Tokenizers differ; a count further off than this factor from ours is not believed.
TOLERANCE = 4
# Hidden reasoning is output too, so only the cap bounds the count from above.
OVER_CAP = 1.05


@dataclass(frozen=True, slots=True)
class Own:
    """Our own count: of the prompt in bytes, and of the answer in tokens."""

    prompt_bytes: int
    prompt_tokens: int
    completion_tokens: int
    most_completion: int


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def read(usage: Any, own: Own) -> Tokens:
    """The tokens to bill: the provider's, or ours where it gave none or a false one."""
    if not isinstance(usage, dict):
        return _ours(own, "estimated")
    prompt = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    completion = _count(usage.get("completion_tokens", usage.get("output_tokens", 0)))
    if prompt is None or completion is None:
        return _ours(own, "suspect")
    if not (_true_prompt(prompt, own) and _true_completion(completion, own)):
        return _ours(own, "suspect")
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Tokens(prompt, completion, min(cached or 0, prompt))


def _true_prompt(prompt: int, own: Own) -> bool:
    # A token is at least a byte; templates add a few tokens of their own.
    most = own.prompt_bytes + own.prompt_tokens + 512
    return prompt <= most and prompt * 20 >= own.prompt_bytes // TOLERANCE


def _true_completion(completion: int, own: Own) -> bool:
    most = own.most_completion * OVER_CAP + 16
    return completion <= most and completion * TOLERANCE >= own.completion_tokens


def _ours(own: Own, mark: str) -> Tokens:
    prompt = max(1, own.prompt_bytes // 4 + own.prompt_tokens // 100)
    completion = min(own.completion_tokens, int(own.most_completion * OVER_CAP) + 16)
    return Tokens(prompt, completion, source="gateway", marks=(mark,))
