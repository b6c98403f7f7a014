"""Step 2 of a request: make its plan from body, caller and snapshot."""

from dataclasses import dataclass, replace
from functools import partial

from billing.auth.principal import Principal
from llm.configuration.snapshot import Snapshot
from llm.metering.tokenizer import Tokenizer
from llm.request import shape as shapes
from llm.resolve import plan_checks, prompt_field
from llm.resolve.choose import choose
from llm.resolve.plan import exceeded_limit, resolve
from llm.resolve.prompt_field import PromptField
from llm.types import Call, Plan, Shape


@dataclass(frozen=True, slots=True)
class RequestParts:
    """The parts of a call's body that do not depend on caller or configuration."""

    # The stored prompt that it names.
    prompt: PromptField | None
    # None if the body is complete only with the prompt's text.
    shape: Shape | None


async def read_request(call: Call) -> RequestParts:
    """Check the body of `call`. Raises InvalidRequest."""
    prompt = prompt_field.parse(call.endpoint, call.body)
    return RequestParts(
        prompt, None if prompt else await shapes.shape_of(call, call.body)
    )


class Resolver:
    """Makes plans. One per process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    async def plan(
        self, call: Call, request: RequestParts, caller: Principal, snapshot: Snapshot
    ) -> Plan:
        """The plan to serve `call` by `snapshot`. Raises GatewayError."""
        body, chosen = choose(call, request.prompt, caller, snapshot)
        shape = request.shape
        if shape is None or body is not call.body:
            shape = await shapes.shape_of(call, body)
        plan_by = partial(
            resolve, call.endpoint,
            principal=caller, snapshot=snapshot, body=body, chosen=chosen,
            named_tags=call.tags,
        )  # fmt: skip
        plan = await shapes.run_by_size(call, plan_by, shape=shape)
        if most := exceeded_limit(plan):
            counted = await self._tokenizer.count(call.endpoint, body, shape, most)
            # Only for limits: what is reserved and billed stays bounded by bytes.
            shape = replace(shape, prompt_tokens=counted.prompt_tokens)
            plan = await shapes.run_by_size(call, plan_by, shape=shape)
        await shapes.run_by_size(call, plan_checks.check, call.endpoint, plan)
        return plan
