"""The scenarios by litellm, as a library in front of the gateway."""

import os
from typing import Any

# Else it fetches a list of prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from pydantic import BaseModel

from tests.clients.case import (
    HELLO,
    PICTURE,
    ClientCase,
    leave_early,
    run_scenarios,
    text_scenarios,
)

ASKED = [{"role": "user", "content": HELLO}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Verdict(BaseModel):
    """The structured answer that is asked for."""

    title: str
    score: int


def reach(case: ClientCase, role: str) -> dict[str, Any]:
    return {
        "model": f"openai/{case.models[role]}",
        "api_base": case.base_url,
        "api_key": case.key,
    }


def chat(case: ClientCase, role: str = "echo", **fields: Any) -> Any:
    return litellm.completion(**reach(case, role), **{"messages": ASKED, **fields})


def text(case: ClientCase, role: str = "echo", **fields: Any) -> Any:
    return chat(case, role, **fields).choices[0].message.content


def stream(case: ClientCase) -> list[str]:
    deltas = [one.choices[0].delta.content for one in chat(case, stream=True)]
    return [one for one in deltas if one]


def tools(case: ClientCase) -> Any:
    asked = [{"role": "user", "content": "How warm is it?"}]
    message = chat(case, "tools", messages=asked, tools=[WEATHER]).choices[0].message
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    return text(case, "tools", messages=[*asked, message, result], tools=[WEATHER])


def structured(case: ClientCase) -> Any:
    answer = text(case, "tools", response_format=Verdict)
    return Verdict.model_validate_json(answer).model_dump()


def embeddings(case: ClientCase) -> list[int]:
    found = litellm.embedding(**reach(case, "embedding"), input=["one", "two"])
    return [len(one["embedding"]) for one in found.data]


def responses(case: ClientCase) -> str:
    answer = litellm.responses(**reach(case, "echo"), input=HELLO)
    return "".join(part.text for item in answer.output for part in item.content)


def vision(case: ClientCase) -> Any:
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    content = [{"type": "text", "text": HELLO}, picture]
    return text(case, messages=[{"role": "user", "content": content}])


def abort(case: ClientCase) -> int:
    events = chat(case, "slow", stream=True)
    return leave_early(events, events.completion_stream.close)


if __name__ == "__main__":
    run_scenarios(
        text_scenarios(text)
        | {
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "responses": responses,
            "busy": lambda case: text(case, "busy", max_retries=2),
            "vision": vision,
            # It drops `user` for a model that it does not know.
            "user": lambda case: text(case, extra_body={"user": "person-1"}),
            "extra": lambda case: text(case, extra_headers=case.header),
            "prompt": lambda case: text(
                case, messages=[], extra_body={"prompt": case.stored_prompt}
            ),
            "abort": abort,
        }
    )
