"""The scenarios by OpenAI's agents SDK for Python."""

import asyncio
import os
from typing import Any

# Else it sends what agents do to OpenAI.
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "true"

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.clients.case import HELLO, PICTURE, ClientCase, run_scenarios, status_of


class Verdict(BaseModel):
    """The structured answer that is asked for."""

    title: str
    score: int


@function_tool  # type: ignore[untyped-decorator]  # not installed where types are checked
def weather(city: str) -> str:
    """Tell the temperature of a city."""
    return "21 degrees"


def agent(case: ClientCase, role: str = "echo", **fields: Any) -> Agent:
    client = AsyncOpenAI(base_url=case.base_url, api_key=case.key)
    kind = fields.pop("kind", OpenAIChatCompletionsModel)
    settings = ModelSettings(**fields.pop("settings", {}))
    model = kind(case.models[role], client)
    return Agent("tester", model=model, model_settings=settings, **fields)


def text(
    case: ClientCase, role: str = "echo", asked: Any = HELLO, **fields: Any
) -> Any:
    return asyncio.run(Runner.run(agent(case, role, **fields), asked)).final_output


async def pieces(case: ClientCase, role: str, most: int) -> list[str]:
    found = []
    streamed = Runner.run_streamed(agent(case, role), HELLO)
    async for event in streamed.stream_events():
        if delta := getattr(getattr(event, "data", None), "delta", ""):
            found.append(delta)
        if len(found) == most:
            streamed.cancel()
    return found


def responses(case: ClientCase) -> Any:
    return text(case, kind=OpenAIResponsesModel)


def vision(case: ClientCase) -> Any:
    words = {"type": "input_text", "text": HELLO}
    picture = {"type": "input_image", "image_url": PICTURE, "detail": "auto"}
    return text(case, asked=[{"role": "user", "content": [words, picture]}])


def prompt(case: ClientCase) -> Any:
    body = {"prompt": case.stored_prompt}
    return text(case, asked=[], settings={"extra_body": body})


def cache(case: ClientCase) -> list[Any]:
    settings = {"temperature": 0, "extra_body": {"seed": 7}}
    return [text(case, settings=settings) for _time in range(2)]


def quota(case: ClientCase) -> list[Any]:
    settings = {"extra_body": {"seed": 2}}
    return [text(case), status_of(lambda: text(case, settings=settings))]


if __name__ == "__main__":
    run_scenarios(
        {
            "chat": text,
            "stream": lambda case: asyncio.run(pieces(case, "echo", 1000)),
            "tools": lambda case: text(case, "tools", "How warm?", tools=[weather]),
            "structured": lambda case: text(
                case, "tools", output_type=Verdict
            ).model_dump(),
            "responses": responses,
            "wrong key": lambda case: status_of(lambda: text(case)),
            "busy": lambda case: text(case, "busy"),
            "quota": quota,
            "vision": vision,
            "user": lambda case: text(
                case, settings={"extra_body": {"user": "person-1"}}
            ),
            "extra": lambda case: text(case, settings={"extra_headers": case.header}),
            "prompt": prompt,
            "cache": cache,
            "abort": lambda case: len(asyncio.run(pieces(case, "slow", 3))),
        }
    )
