"""The scenarios by langchain-openai."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.clients.case import (
    HELLO,
    PICTURE,
    ClientCase,
    leave_early,
    run_scenarios,
    text_scenarios,
)


class Verdict(BaseModel):
    """The structured answer that is asked for."""

    title: str
    score: int


class weather(BaseModel):
    """Tell the temperature of a city."""

    city: str


def model(case: ClientCase, role: str = "echo", **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=case.base_url, api_key=case.key, model=case.models[role], **fields
    )


def text(case: ClientCase, role: str = "echo", **fields: Any) -> Any:
    return model(case, role, **fields).invoke(fields.pop("asked", HELLO)).text


def stream(case: ClientCase) -> list[str]:
    return [one.text for one in model(case).stream(HELLO) if one.text]


def tools(case: ClientCase) -> Any:
    able = model(case, "tools").bind_tools([weather])
    asked = HumanMessage("How warm is it?")
    message = able.invoke([asked])
    [call] = message.tool_calls
    result = ToolMessage("21 degrees", tool_call_id=call["id"])
    return able.invoke([asked, message, result]).text


def structured(case: ClientCase) -> Any:
    return (
        model(case, "tools")
        .with_structured_output(Verdict)
        .invoke("Judge this.")
        .model_dump()
    )


def embeddings(case: ClientCase) -> list[int]:
    embedder = OpenAIEmbeddings(
        base_url=case.base_url,
        api_key=case.key,
        model=case.models["embedding"],
        # Else it splits texts by a tokenizer that it has to download.
        check_embedding_ctx_length=False,
    )
    return [len(one) for one in embedder.embed_documents(["one", "two"])]


def vision(case: ClientCase) -> Any:
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    asked = HumanMessage([{"type": "text", "text": HELLO}, picture])
    return model(case).invoke([asked]).text


def abort(case: ClientCase) -> int:
    events = model(case, "slow").stream(HELLO)
    return leave_early(events, events.close)


if __name__ == "__main__":
    run_scenarios(
        text_scenarios(text)
        | {
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "responses": lambda case: text(case, use_responses_api=True),
            "busy": lambda case: text(case, "busy"),
            "vision": vision,
            "user": lambda case: text(case, model_kwargs={"user": "person-1"}),
            "extra": lambda case: text(
                case, default_headers=case.header, metadata={"job": "night"}
            ),
            "prompt": lambda case: (
                model(case, extra_body={"prompt": case.stored_prompt}).invoke([]).text
            ),
            "abort": abort,
        }
    )
