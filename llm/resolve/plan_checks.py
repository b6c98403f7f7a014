"""Checks whether a request can be sent to all of its providers."""

from typing import NoReturn

from llm.request import unsupported
from llm.translate import to_chat
from llm.types import Plan
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core.errors import InvalidRequest


def check(endpoint: str, plan: Plan) -> None:
    """Check that the request is self-contained, and can be translated if needed.

    Raises InvalidRequest for what the client sent, BrokenPrompt for what an operator set.
    """
    natively = [one.provider.kind.responses for one in plan.candidates]
    try:
        if endpoint == "responses" and not all(natively):
            to_chat(plan.body)
        # Whichever provider serves it: a field that one of them lacks is refused.
        declared = [one.provider.extra_fields for one in plan.candidates]
        allowed = plan.chosen.preset | frozenset.intersection(*declared)
        unsupported.check(endpoint, plan.body, allowed=allowed)
    except InvalidRequest as error:
        blame(error, plan.chosen.preset)


def blame(error: InvalidRequest, preset: frozenset[str]) -> NoReturn:
    """Raise `error` as the client's, or as the operator's who set the field."""
    field = (error.param or "").partition(".")[0].partition("[")[0]
    if field not in preset:
        raise error
    raise BrokenPrompt(
        f"A setting of an operator does not fit this request: {error.message}"
    ) from error
