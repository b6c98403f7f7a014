"""The scenarios by instructor, whose answers are objects: here with a text in them."""

import json
from collections.abc import Generator
from typing import Any

import instructor
import openai
from instructor import Mode
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


# The echo of it is a Verdict.
ASKED = json.dumps({"title": HELLO, "score": 1})


def client(case: ClientCase, mode: Mode = Mode.JSON_SCHEMA) -> instructor.Instructor:
    official = openai.OpenAI(base_url=case.base_url, api_key=case.key)
    return instructor.from_openai(official, mode=mode)


def ask(case: ClientCase, role: str = "echo", **fields: Any) -> Any:
    mode = fields.pop("mode", Mode.JSON_SCHEMA)
    asked = [{"role": "user", "content": ASKED}]
    given = {"messages": asked, "response_model": Verdict, **fields}
    return client(case, mode).create(model=case.models[role], **given)


def text(case: ClientCase, role: str = "echo", **fields: Any) -> Any:
    return ask(case, role, **fields).title


def parts(case: ClientCase, role: str) -> Generator[str, None, None]:
    """What each part of a streamed object adds to its text."""
    seen = ""
    for part in client(case).create_partial(
        model=case.models[role],
        messages=[{"role": "user", "content": ASKED}],
        response_model=Verdict,
    ):
        title = part.title or ""
        yield title[len(seen) :]
        seen = title


def responses(case: ClientCase) -> str:
    found = ask(case, "tools", mode=Mode.RESPONSES_TOOLS)
    return HELLO if isinstance(found, Verdict) else repr(found)


def vision(case: ClientCase) -> Any:
    picture = {"type": "image_url", "image_url": {"url": PICTURE}}
    content = [{"type": "text", "text": ASKED}, picture]
    return text(case, messages=[{"role": "user", "content": content}])


def prompt(case: ClientCase) -> Any:
    body = {"prompt": case.stored_prompt}
    answer = ask(case, response_model=None, messages=[], extra_body=body)
    return answer.choices[0].message.content


def abort(case: ClientCase) -> int:
    events = parts(case, "slow")
    return leave_early(events, events.close)


if __name__ == "__main__":
    run_scenarios(
        text_scenarios(text)
        | {
            "stream": lambda case: [one for one in parts(case, "echo") if one],
            "structured": lambda case: ask(case, "tools", mode=Mode.TOOLS).model_dump(),
            "responses": responses,
            "busy": lambda case: text(case, "busy"),
            "vision": vision,
            "user": lambda case: text(case, user="person-1"),
            "extra": lambda case: text(case, extra_headers=case.header),
            "prompt": prompt,
            "abort": abort,
        }
    )
