"""What holds for all operations of the OpenAPI document, added to it in one place."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from valuecanvas.core.api.openapi_schema import ALWAYS, MEANING, WITH_BODY
from valuecanvas.core.errors import (
    BodyTooLarge,
    Conflict,
    GatewayError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RequestTooLate,
    TooManyRequests,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
    UpstreamError,
    UpstreamTimeout,
)
from valuecanvas.http.openapi.answer_examples import EXAMPLE_ID, make_example
from valuecanvas.http.openapi.component_names import rename_components
from valuecanvas.http.openapi.examples import ANSWERS, OTHERS, REQUESTS

HOT, OFREP = ("/v1/", "/api/llm/"), "/ofrep/"
SUCCESS = {200: "The answer.", 201: "It was made.", 202: "It is queued.", 204: "Done."}
# An example of each refusal; their classes name the shared responses.
EXAMPLES: Mapping[int, GatewayError] = {
    one.status: one
    for one in (
        InvalidRequest("'model' is required: name a model.", param="model"),
        NotAuthenticated("This API key is not known.", code="invalid_api_key"),
        NotPermitted("This key lacks the scope 'llm'.", code="missing_scope"),
        NotFound("There is nothing here."),
        RequestTooLate("The body did not arrive in time."),
        Conflict("Revision 3 was expected, but it is 4: kim changed it."),
        BodyTooLarge("The body may have at most 1048576 bytes."),
        UnsupportedMedia("Send JSON, with Content-Type: application/json."),
        Unprocessable("This Idempotency-Key was used for another request."),
        TooManyRequests("More than 60 requests a minute. Try again in 12 s."),
        GatewayError(f"Internal error: quote the request id {EXAMPLE_ID}."),
        UpstreamError("No provider could answer."),
        Unavailable("This server is busy; ask again in 1 s.", code="overloaded"),
        UpstreamTimeout("No provider answered in time."),
    )
}
# Paths with a UUID in them.
UUIDS = r"^/api/llm/.*_id}|{(request|run)_id}"
# Statuses whose answers say when to try again.
RETRIED = (429, 503)
_EMPTY = {"type": "string", "maxLength": 0}
_BODY = {"$ref": "#/components/schemas/ErrorBody"}
HEADERS = {
    "RequestId": {
        "description": "The id of this request, for GET /v1/requests/{request_id} and "
        "for questions to the operators.",
        "schema": {"type": "string", "format": "uuid"},
        "required": True,
    },
    "RetryAfter": {
        "description": "Seconds to wait before the request is sent again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWWAuthenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
    },
}


def complete_document(
    result: dict[str, Any], generator: object, request: object, public: bool
) -> dict[str, Any]:
    """One of SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]."""
    for path, operations in result["paths"].items():
        for operation in operations.values():
            _complete_operation(path, operation)
    shared = {
        _name(status): _error(status, MEANING[status], _BODY) for status in MEANING
    }
    result["components"] |= {"headers": HEADERS, "responses": shared}
    found: dict[str, Any] = _replace_one_of(result)
    rename_components(found)
    _add_answers(found)
    return found


def _complete_operation(path: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and re.search(UUIDS, path):
            # As the answers have it, so that clients pass on what they got.
            parameter["schema"]["format"] = "uuid"
    if body := operation.get("requestBody"):
        _complete_body(path, operation["operationId"], body)
    found = {int(status): one for status, one in operation["responses"].items()}
    more = (*ALWAYS, *(WITH_BODY if "requestBody" in operation else ()))
    for status in more:
        found.setdefault(status, {"description": MEANING[status]})
    for status, response in found.items():
        if status < 400:
            response["description"] = response["description"] or SUCCESS[status]
            response["headers"] = {**_headers(status), **response.get("headers", {})}
        else:
            found[status] = _refusal(path, status, response)
    operation["responses"] = {str(status): found[status] for status in sorted(found)}
    operation["security"] = _distinct(operation.get("security", []))


def _complete_body(path: str, operation_id: str, body: dict[str, Any]) -> None:
    if path.startswith(HOT):
        # Without a body there is no Content-Type either: 415.
        body["required"] = True
    for kind, content in body["content"].items():
        examples = REQUESTS if kind == "application/json" else {}
        if example := OTHERS.get((operation_id, kind)) or examples.get(operation_id):
            content["example"] = example


def _add_answers(document: dict[str, Any]) -> None:
    """Add an example to each answer that has a body."""
    schemas = document["components"].get("schemas", {})
    for operations in document["paths"].values():
        for operation in operations.values():
            name = operation["operationId"]
            found = [operation["responses"].get(str(status), {}) for status in SUCCESS]
            for kind, content in _contents(found):
                content["example"] = (
                    OTHERS.get((name, kind))
                    or ANSWERS.get(name)
                    or make_example(content["schema"], schemas)
                )


def _contents(responses: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for response in responses:
        yield from response.get("content", {}).items()


def _refusal(path: str, status: int, response: Mapping[str, Any]) -> dict[str, Any]:
    """The shared response, or one of its own where it means something else."""
    if path.startswith(OFREP):
        # OFREP has bodies of its own, but not for what is refused before its view.
        content = response.get("content", {}).get("application/json", {})
        own = content.get("schema", {"$ref": "#/components/schemas/OfrepProblem"})
        return _error(status, response["description"], {"anyOf": [own, _BODY]})
    if response["description"] in ("", MEANING.get(status)):
        return {"$ref": f"#/components/responses/{_name(status)}"}
    return _error(status, response["description"], _BODY)


def _name(status: int) -> str:
    kind = type(EXAMPLES[status])
    return "InternalError" if kind is GatewayError else kind.__name__


def _error(status: int, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    example = EXAMPLES[status].body(EXAMPLE_ID)
    return {
        "description": text or MEANING[status],
        "headers": _headers(status),
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _headers(status: int) -> dict[str, Any]:
    names = {"x-request-id": "RequestId"}
    if status in RETRIED:
        names["Retry-After"] = "RetryAfter"
    if status == 401:
        names["WWW-Authenticate"] = "WWWAuthenticate"
    return {
        name: {"$ref": f"#/components/headers/{component}"}
        for name, component in names.items()
    }


def _distinct(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _replace_one_of(node: Any) -> Any:
    """`node` with `anyOf` in place of `oneOf`, which refuses a value that fits twice.

    drf-spectacular writes `oneOf` for whatever may be null or empty.
    """
    if isinstance(node, list):
        return [_replace_one_of(below) for below in node]
    if not isinstance(node, dict):
        return node
    found = {name: _replace_one_of(below) for name, below in node.items()}
    if "oneOf" in found and "discriminator" not in found:
        found["anyOf"] = found.pop("oneOf")
    if {} in found.get("anyOf", ()):
        del found["anyOf"]
    if _EMPTY in found.get("anyOf", ()):
        # The other branch allows the empty text as well.
        [rest] = [one for one in found.pop("anyOf") if one != _EMPTY]
        found = {**rest, **found}
    return found
