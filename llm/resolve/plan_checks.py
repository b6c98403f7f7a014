"""Whether a request can be sent to its providers, whichever API they have."""

from typing import NoReturn

from llm.request import unsupported
from llm.translate import to_chat
from llm.types import Plan
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core.errors import InvalidRequest


def check(endpoint: str, plan: Plan) -> None:
    """It must be whole in itself, and translatable wherever it may be sent.

    Raises InvalidRequest for what the client sent, BrokenPrompt for what an operator set.
    """
    natively = [one.provider.kind.responses for one in plan.candidates]
    try:
        if endpoint == "responses" and not all(natively):
            to_chat(plan.body)
        unsupported.check(
            endpoint, plan.body, operator_fields=plan.chosen.operator_fields
        )
    except InvalidRequest as error:
        blame(error, plan.chosen.operator_fields)


def blame(error: InvalidRequest, operator_fields: frozenset[str]) -> NoReturn:
    """Raises what is wrong as the client's fault, or the operator's who has set it."""
    field = (error.param or "").partition(".")[0].partition("[")[0]
    if field not in operator_fields:
        raise error
    raise BrokenPrompt(
        f"What an operator set for this request does not fit: {error.message}"
    ) from error
