"""What the demo provider reports as usage, true or not."""

from __future__ import annotations

from typing import Any

from valuecanvas.embedded.demo_provider.behaviours import Behaviour

_HUGE = 10**12

Usage = dict[str, Any]


def report(prompt: int, completion: int, behaviour: Behaviour) -> Usage | None:
    """The chat usage object, bent as the behaviour says; None is no usage at all."""
    counts = _bent(prompt, completion, behaviour.lie)
    if counts is None:
        return None
    first, second, total = counts
    return {
        "prompt_tokens": first,
        "completion_tokens": second,
        "total_tokens": total,
        "prompt_tokens_details": {
            "cached_tokens": min(behaviour.cached, prompt),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _bent(
    prompt: int, completion: int, lie: str | None
) -> tuple[int | str, int | str, int | str] | None:
    if lie == "absent":
        return None
    if lie == "negative":
        return -prompt, -completion, -(prompt + completion)
    if lie == "huge":
        return _HUGE, _HUGE, 2 * _HUGE
    if lie == "string":
        return str(prompt), str(completion), str(prompt + completion)
    if lie == "low":
        prompt, completion = max(1, prompt // 1000), max(1, completion // 1000)
    return prompt, completion, prompt + completion
