"""Reads the error in any body of a provider: `message`, `type`, `code`, `param`."""

import html
import re
from typing import Any

import orjson

# Most characters of a page or text that are read.
MOST_TEXT = 16_384
# Errors are wrapped in errors, as text or as objects, this deep at most.
_DEPTH = 6
_LEAVES = 20
# The members with the message, by preference.
_MESSAGES = ("message", "msg", "detail", "error_message", "error_msg", "errormessage",
             "error_description", "status_msg", "errors", "error", "base_resp",
             "description", "reason", "title", "details")  # fmt: skip
# Our name for a member -> the names that providers use.
_WORDS = {"type": ("type", "error_type", "__type"), "param": ("param",),
          "code": ("code", "error_code", "errorcode", "status_code", "statuscode"),
          "status": ("status",)}  # fmt: skip
_NO_WORDS = {name for names in _WORDS.values() for name in names} | {
    "id", "object", "request_id", "requestid", "timestamp", "path", "success", "loc",
    "input", "url", "ctx"}  # fmt: skip
_KNOWN = (
    *_MESSAGES,
    *(name for names in _WORDS.values() for name in names),
    "metadata",
)
_TAG = re.compile(r"(<[^<>]*>)")
_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|h1|center|\?xml)\b", re.IGNORECASE)
_EVENT_DATA = re.compile(r"^data:(.*)$", re.MULTILINE)
_UNSEEN = ("script", "style", "svg", "template")


def error_of(body: Any, depth: int = 0) -> dict[str, Any]:
    """The error in a parsed body or a text; {} if there is none."""
    if depth > _DEPTH:
        return {}
    if isinstance(body, str):
        return _of_text(body, depth)
    if isinstance(body, list):
        return _of_list(body, depth)
    return _of_object(body, depth) if isinstance(body, dict) else {}


def read_error(raw: bytes) -> dict[str, Any]:
    """The error in the bytes of a refusal: JSON, an event stream, a page or plain text."""
    return error_of(raw.decode("utf-8-sig", "replace")[: 4 * MOST_TEXT])


def error_within(body: Any) -> dict[str, Any]:
    """The error in a body of status 200, without an answer that is beside it."""
    if not isinstance(body, dict):
        return error_of(body)
    return error_of({name: body[name] for name in _KNOWN if name in body})


def is_error(parsed: dict[str, Any], answer: str) -> bool:
    """Whether a body of status 200 is an error. An answer would be under `answer`."""
    if parsed.get("error") or parsed.get("object") == "error":
        return True
    if parsed.get("type") == "error" or parsed.get("status") == "failed":
        return True
    if parsed.get(answer) is not None or not parsed:
        return False
    base = parsed.get("base_resp")
    refused = isinstance(base, dict) and base.get("status_code")
    return bool(refused or any(parsed.get(one) for one in _MESSAGES[:9]))


def _of_text(text: str, depth: int) -> dict[str, Any]:
    text = text.strip()
    if text.startswith(("data:", "event:")):
        text = next(iter(_EVENT_DATA.findall(text)), "").strip()
    try:
        return error_of(orjson.loads(text), depth + 1)
    except orjson.JSONDecodeError:
        pass
    text = text[:MOST_TEXT]
    text = _page_text(text) if _PAGE.match(text) else text
    return {"message": text} if text else {}


def _page_text(page: str) -> str:
    """The visible text of an HTML page, each part once."""
    seen: dict[str, None] = {}
    unseen = ""
    for part in _TAG.split(page):
        if not part.startswith("<"):
            words = " ".join(html.unescape(part).split())
            if words and not unseen:
                seen[words] = None
            continue
        name = part[1:-1].strip().partition(" ")[0].lower()
        if unseen:
            unseen = "" if name == f"/{unseen}" else unseen
        elif name in _UNSEEN:
            unseen = name
    return " ".join(seen)


def _of_list(items: list[Any], depth: int) -> dict[str, Any]:
    """Join several errors: all messages, and the first code."""
    found = [one for item in items[:_LEAVES] if (one := error_of(item, depth + 1))]
    joined = {name: value for one in reversed(found) for name, value in one.items()}
    words = dict.fromkeys(one["message"] for one in found if "message" in one)
    return {**joined, "message": "; ".join(words)} if words else joined


def _of_object(body: dict[Any, Any], depth: int) -> dict[str, Any]:
    fields = {str(name).lower(): value for name, value in body.items()}
    inner = _inner(fields, depth)
    found = {
        ours: value
        for ours, names in _WORDS.items()
        for name in reversed(names)
        if (value := fields.get(name)) is not None
        and not isinstance(value, dict | list)
    }
    word = fields.get("error")
    if isinstance(word, str) and inner.get("message") not in (None, word):
        # OAuth and others: a word as `error`, its explanation beside it.
        found.setdefault("type", word)
    return _with_causes({**found, **inner}, fields, depth)


def _inner(fields: dict[str, Any], depth: int) -> dict[str, Any]:
    """The inner error: under `error`, else of the first member with a message."""
    first = ("error",) if isinstance(fields.get("error"), dict | list) else ()
    for name in (*first, *_MESSAGES):
        found = error_of(fields.get(name), depth + 1)
        if found.get("message") or (first and name == "error" and found):
            return _located(found, fields)
    leaves = [
        f"{name}: {found['message']}"
        for name, value in list(fields.items())[:_LEAVES]
        if name not in _NO_WORDS
        and (found := error_of(value, depth + 1)).get("message")
    ]
    return {"message": "; ".join(leaves)} if leaves else {}


def _located(found: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Add the field that FastAPI and others name beside the message."""
    where = fields.get("loc")
    if not isinstance(where, list) or "message" not in found:
        return found
    field = ".".join(str(one)[:100] for one in where[:10])
    return {**found, "message": f"{field}: {found['message']}", "param": field}


def _with_causes(
    found: dict[str, Any], fields: dict[str, Any], depth: int
) -> dict[str, Any]:
    """Add the error of an aggregator's provider, and the reason of Google's API."""
    more = fields.get("metadata")
    cause = error_of(more.get("raw"), depth + 1) if isinstance(more, dict) else {}
    if cause.get("message"):
        words = f"{found.get('message', '')}: {cause['message']}".removeprefix(": ")
        found = {**cause, **found, "message": words}
    details = fields.get("details")
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and isinstance(one.get("reason"), str):
            found.setdefault("reason", one["reason"])
    return found
