"""The scenarios by openai-python."""

from typing import Any

import openai
from pydantic import BaseModel

from tests.clients.case import (
    HELLO,
    PICTURE,
    ClientCase,
    leave_early,
    run_scenarios,
    text_scenarios,
)

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Verdict(BaseModel):
    """The structured answer that is asked for."""

    title: str
    score: int


def chat(case: ClientCase, model: str = "echo", **fields: Any) -> Any:
    messages = fields.pop("messages", [{"role": "user", "content": HELLO}])
    with openai.OpenAI(base_url=case.base_url, api_key=case.key) as client:
        return client.chat.completions.create(
            model=case.models[model], messages=messages, **fields
        )


def text(case: ClientCase, model: str = "echo", **fields: Any) -> Any:
    return chat(case, model, **fields).choices[0].message.content


def stream(case: ClientCase) -> list[str]:
    client = openai.OpenAI(base_url=case.base_url, api_key=case.key)
    asked: list[Any] = [{"role": "user", "content": HELLO}]
    streamed = client.chat.completions.stream(model=case.models["echo"], messages=asked)
    with client, streamed as events:
        return [one.delta for one in events if one.type == "content.delta"]


def tools(case: ClientCase) -> Any:
    asked: list[Any] = [{"role": "user", "content": "How warm is it?"}]
    message = chat(case, "tools", messages=asked, tools=[WEATHER]).choices[0].message
    [call] = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    messages = [*asked, message, result]
    return text(case, "tools", messages=messages, tools=[WEATHER])


def structured(case: ClientCase) -> Any:
    with openai.OpenAI(base_url=case.base_url, api_key=case.key) as client:
        answer = client.chat.completions.parse(
            model=case.models["tools"],
            messages=[{"role": "user", "content": "Judge this."}],
            response_format=Verdict,
        )
    return answer.choices[0].message.parsed.model_dump()


def embeddings(case: ClientCase) -> list[int]:
    with openai.OpenAI(base_url=case.base_url, api_key=case.key) as client:
        found = client.embeddings.create(
            model=case.models["embedding"], input=["one", "two"]
        )
    return [len(one.embedding) for one in found.data]


def responses(case: ClientCase) -> str:
    with openai.OpenAI(base_url=case.base_url, api_key=case.key) as client:
        return client.responses.create(
            model=case.models["echo"], input=HELLO
        ).output_text


def vision(case: ClientCase) -> Any:
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    content = [{"type": "text", "text": HELLO}, picture]
    return text(case, messages=[{"role": "user", "content": content}])


def abort(case: ClientCase) -> int:
    with openai.OpenAI(base_url=case.base_url, api_key=case.key) as client:
        events = client.chat.completions.create(
            model=case.models["slow"],
            messages=[{"role": "user", "content": HELLO}],
            stream=True,
        )
        return leave_early(events, events.close)


if __name__ == "__main__":
    run_scenarios(
        text_scenarios(text)
        | {
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "responses": responses,
            "busy": lambda case: text(case, "busy"),
            "vision": vision,
            "user": lambda case: text(case, user="person-1"),
            "extra": lambda case: text(
                case, extra_headers=case.header, metadata={"job": "night"}
            ),
            "prompt": lambda case: text(
                case, messages=[], extra_body={"prompt": case.stored_prompt}
            ),
            "abort": abort,
        }
    )
