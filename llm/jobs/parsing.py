"""Reads a job from a request's JSON."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from llm.jobs import callbacks
from llm.jobs.submission import NewJob
from llm.jobs.types import ENDPOINTS, build_call
from llm.models import OnLimit
from llm.models.job import LAST, MOST_TAGS, USUAL
from llm.models.job_batch import LONGEST_TAG
from llm.request.stored_prompt import FIELDS
from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.errors import InvalidRequest

# Of OpenAI's metadata: pairs, and characters of a name and of a value.
MOST_METADATA, LONGEST_METADATA = 16, (64, 512)
# A job or batch may wait and take at most so long.
MOST_AHEAD = dt.timedelta(days=366)
INPUT = (*FIELDS, "model", "body")
OPTIONS = (
    "type", "priority", "runAt", "deadline", "tags", "callbackUrl", "onLimit",
)  # fmt: skip


def parse_job(given: Mapping[str, Any], *, key: str | None = None) -> NewJob:
    """The job that a request describes. Raises InvalidRequest."""
    refuse_unknown(given, [*OPTIONS, *INPUT])
    name = given.get("type")
    if not isinstance(name, str):
        raise InvalidRequest("'type' is the type of the job, a text.", param="type")
    run_at = parse_time(given, "runAt")
    deadline = parse_time(given, "deadline")
    now = timezone.now()
    if deadline is not None and deadline <= max(run_at or now, now):
        raise InvalidRequest(
            "'deadline' must be in the future, and after 'runAt'.", param="deadline"
        )
    return NewJob(
        type=name,
        call=build_call(name, {one: given[one] for one in INPUT if one in given}),
        tags=parse_tags(given),
        priority=parse_priority(given),
        run_at=run_at,
        deadline=deadline,
        on_limit=parse_on_limit(given),
        callback_url=parse_callback_url(given),
        key=key,
    )


def parse_time(given: Mapping[str, Any], name: str) -> dt.datetime | None:
    """A time in ISO 8601 with its zone. Raises InvalidRequest."""
    value = given.get(name)
    if value is None:
        return None
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidRequest(
            f"'{name}' is a time with its zone, as in 2030-01-31T08:00:00Z.",
            param=name,
        )
    if found > timezone.now() + MOST_AHEAD:
        raise InvalidRequest(f"'{name}' is more than a year ahead.", param=name)
    return found.astimezone(dt.UTC)


def parse_tags(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Up to ten short texts. Raises InvalidRequest."""
    value = given.get("tags")
    tags = [] if value is None else value
    valid = isinstance(tags, list) and len(tags) <= MOST_TAGS
    if not valid or not all(map(_is_tag, tags)):
        raise InvalidRequest(
            f"'tags' are up to {MOST_TAGS} texts of at most {LONGEST_TAG} characters.",
            param="tags",
        )
    return tuple(dict.fromkeys(tags))


def _is_tag(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return 1 <= len(value) <= LONGEST_TAG and value.isprintable()


def parse_priority(given: Mapping[str, Any], usual: int = USUAL) -> int:
    """Raises InvalidRequest."""
    value: Any = given.get("priority", usual)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= LAST:
        raise InvalidRequest(
            f"'priority' is a whole number from 0, the first, to {LAST}, the last.",
            param="priority",
        )
    return int(value)


def parse_on_limit(given: Mapping[str, Any]) -> str:
    """Raises InvalidRequest."""
    value = given.get("onLimit", OnLimit.WAIT)
    if value not in OnLimit.values:
        raise InvalidRequest(
            "'onLimit' is 'wait' or 'fail': what to do if the quota is used up.",
            param="onLimit",
        )
    return str(value)


def parse_callback_url(given: Mapping[str, Any]) -> str:
    """Raises InvalidRequest."""
    value = given.get("callbackUrl")
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 2000:
        raise InvalidRequest("'callbackUrl' is a URL.", param="callbackUrl")
    try:
        callbacks.check_callback_url(value)
    except ValidationError as error:
        raise InvalidRequest(
            f"'callbackUrl': {' '.join(error.messages)}", param="callbackUrl"
        ) from error
    return value


def parse_endpoint(given: Mapping[str, Any]) -> str:
    """The name of a batch's endpoint, from its path. Raises InvalidRequest."""
    found = ENDPOINTS.get(str(given.get("endpoint")))
    if found is None:
        raise InvalidRequest(
            f"'endpoint' is one of: {', '.join(ENDPOINTS)}.", param="endpoint"
        )
    return found


def parse_metadata(given: Mapping[str, Any]) -> dict[str, str]:
    """Up to 16 texts by their names, as OpenAI has them. Raises InvalidRequest."""
    value = given.get("metadata")
    pairs = {} if value is None else value
    valid = isinstance(pairs, dict) and len(pairs) <= MOST_METADATA
    if not valid or not all(map(_is_metadata, pairs.items())):
        raise InvalidRequest(
            f"'metadata' are up to {MOST_METADATA} texts by their names, of at most"
            f" {LONGEST_METADATA[1]} and {LONGEST_METADATA[0]} characters.",
            param="metadata",
        )
    return dict(pairs)


def _is_metadata(pair: tuple[Any, Any]) -> bool:
    return all(
        isinstance(text, str) and len(text) <= most and "\0" not in text
        for text, most in zip(pair, LONGEST_METADATA, strict=True)
    )
