"""The types of jobs. A further type is one function: from its input to a call.

    @job_type("summary", "Summarizes a text.")
    def summary(given: Mapping[str, Any]) -> JobCall:
        return JobCall("chat", {"model": "fast", "messages": [...]})

Register it when Django starts, in an app's `ready`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm.request.stored_prompt import FIELDS, parse_stored_prompt
from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.errors import InvalidRequest

# What batches and bodies may ask for, by the path of OpenAI's API.
ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
}
PATHS = {endpoint: path for path, endpoint in ENDPOINTS.items()}
CANVAS_PROMPT = "canvas.generate"


@dataclass(frozen=True, slots=True)
class JobCall:
    """The call that a job makes: an endpoint's name and the body of a request to it."""

    endpoint: str
    body: dict[str, Any]


# Raises InvalidRequest for an input that makes no call.
Builder = Callable[[Mapping[str, Any]], JobCall]


@dataclass(frozen=True, slots=True)
class JobType:
    """A registered type."""

    name: str
    help: str
    build: Builder


JOB_TYPES: dict[str, JobType] = {}


def job_type(name: str, help_text: str) -> Callable[[Builder], Builder]:
    """Register a type of job. Raises ValueError for a name that is taken."""

    def register(build: Builder) -> Builder:
        if name in JOB_TYPES:
            raise ValueError(f"There is a job type '{name}' already.")
        JOB_TYPES[name] = JobType(name, help_text, build)
        return build

    return register


def build_call(name: str, given: Mapping[str, Any]) -> JobCall:
    """The call that a job of type `name` makes. Raises InvalidRequest."""
    found = JOB_TYPES.get(name)
    if found is None:
        known = ", ".join(f"'{one}'" for one in sorted(JOB_TYPES))
        raise InvalidRequest(
            f"There is no job type '{name}'. Known: {known}.", param="type"
        )
    call = found.build(given)
    if call.body.get("stream"):
        raise InvalidRequest(
            "A job's answer is whole: leave out 'stream'.", param="stream"
        )
    return call


@job_type("canvas_generation", f"Fills in the prompt '{CANVAS_PROMPT}'.")
def _canvas(given: Mapping[str, Any]) -> JobCall:
    return _chat({"promptKey": CANVAS_PROMPT, **given})


@job_type("completion", "A chat completion: a stored prompt, or messages.")
def _completion(given: Mapping[str, Any]) -> JobCall:
    return _chat(given)


@job_type("embedding", "Vectors for one text or several.")
def _embedding(given: Mapping[str, Any]) -> JobCall:
    refuse_unknown(dict(given), ["body"])
    return JobCall("embeddings", _body(given))


def _chat(given: Mapping[str, Any]) -> JobCall:
    """A chat completion of a stored prompt, of OpenAI's body, or of both."""
    refuse_unknown(dict(given), ["body", "model", *FIELDS])
    prompt = parse_stored_prompt(given)
    body = {} if prompt and "body" not in given else _body(given)
    if "model" in given:
        body = {**body, "model": given["model"]}
    return JobCall("chat", {**body, "prompt": prompt} if prompt else body)


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    body = given.get("body")
    if not isinstance(body, dict):
        raise InvalidRequest(
            "'body' is the body of a request to OpenAI's API, a JSON object;"
            " or name a stored prompt with 'promptKey'.",
            param="body",
        )
    return body
