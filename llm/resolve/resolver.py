"""Step 2 of a request: its plan, from its body, its caller and a snapshot."""

from dataclasses import dataclass, replace
from functools import partial

from billing.auth.principal import Principal
from llm.configuration.snapshot import Snapshot
from llm.metering.tokenizer import Tokenizer
from llm.request import shape as shapes
from llm.resolve import plan_checks, prompt_field
from llm.resolve.choose import choose
from llm.resolve.plan import crowd, resolve
from llm.resolve.prompt_field import PromptField
from llm.types import Call, Plan, Shape


@dataclass(frozen=True, slots=True)
class Request:
    """What of a call's body does not depend on its caller or the configuration."""

    # The stored prompt that it names.
    prompt: PromptField | None
    # None where only the prompt's words make the body whole.
    shape: Shape | None


async def read_request(call: Call) -> Request:
    """Check the body of `call`. Raises InvalidRequest."""
    prompt = prompt_field.parse(call.endpoint, call.body)
    return Request(prompt, None if prompt else await shapes.shape_of(call, call.body))


class Resolver:
    """Makes plans. One per process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    async def plan(
        self, call: Call, request: Request, caller: Principal, snapshot: Snapshot
    ) -> Plan:
        """How `call` is to be served by `snapshot`. Raises GatewayError."""
        body, chosen = choose(call, request.prompt, caller, snapshot)
        shape = request.shape
        if shape is None or body is not call.body:
            shape = await shapes.shape_of(call, body)
        plan_by = partial(
            resolve, call.endpoint,
            principal=caller, snapshot=snapshot, body=body, chosen=chosen,
        )  # fmt: skip
        plan = await shapes.run_by_size(call, plan_by, shape=shape)
        if most := crowd(plan):
            counted = await self._tokenizer.count_within(
                call.endpoint, body, shape, most
            )
            # For room alone: what is held, and may be billed, stays bounded by bytes.
            shape = replace(shape, prompt_tokens=counted.prompt_tokens)
            plan = await shapes.run_by_size(call, plan_by, shape=shape)
        await shapes.run_by_size(call, plan_checks.check, call.endpoint, plan)
        return plan
