"""The tokens that an answer is billed for: the provider's count within bounds of ours."""

from typing import Any

from llm.metering import provider_usage, tokens
from llm.metering.prompt_text import MOST_BYTES, least_tokens
from llm.metering.prompt_text import texts as prompt_texts
from llm.metering.provider_usage import Own
from llm.resolve.plan import most_prompt
from llm.types import AdmittedCall, Plan, TokenUse


def count_tokens(
    held: AdmittedCall,
    reported: Any,
    size: int,
    pieces: int = 0,
    texts: tuple[str, ...] = (),
) -> TokenUse:
    """The tokens to bill for an answer of `size` bytes.

    It came in `pieces` events, or else it is the `texts`.
    """
    plan = held.plan
    shape, exact = plan.shape, plan.shape.token_ids * 9 // 10
    endpoint = held.call.endpoint
    prompt = Own(
        count=count_prompt(plan),
        most=max(most_prompt(shape, one) for one in plan.candidates),
        enough=shape.prompt_bytes // provider_usage.BYTES + exact,
        least=lambda: exact + least_tokens(prompt_texts(endpoint, plan.body)),
    )
    events = min(pieces, size // 4) * 9 // 10
    completion = Own(
        count=tokens.estimate_delivered(size, pieces),
        most=plan.max_output * shape.choices + shape.predicted,
        enough=max(size // provider_usage.BYTES, events),
        least=lambda: max(events, size // MOST_BYTES, least_tokens(texts)),
    )
    return provider_usage.billed_tokens(reported, prompt, completion)


def count_prompt(plan: Plan) -> int:
    """Our own count of the prompt's tokens."""
    shape = plan.shape
    by_bytes, found = shape.prompt_bytes // 4, shape.counted
    by_count = by_bytes if found is None else found.texts + found.rest
    count = max(1, min(by_bytes, by_count) + shape.token_ids)
    if shape.pictures:
        each = max(tokens.picture(one.upstream_model).usual for one in plan.candidates)
        count += shape.pictures * each
    attached = shape.attached
    return count + attached.sound_usual + attached.pages * tokens.PAGE.usual
