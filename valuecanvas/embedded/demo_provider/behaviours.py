"""What the demo provider does for a model name: one table, one `parse`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

CutKind = Literal["reset", "stall", "truncated", "error_event", "malformed"]
Lie = Literal["negative", "huge", "string", "absent", "low"]
Hang = Literal["silent", "headers"]


class UnknownBehaviour(ValueError):
    """The model name looks like a behaviour, but isn't one in the table."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an answer breaks off, and how.

    `after` counts SSE data chunks (the role chunk included) for reset, stall and
    truncated, and content chunks for error_event and malformed; None is halfway.
    """

    kind: CutKind
    after: int | None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Everything a model name asks for; the defaults are a normal answer."""

    delay: float = 0.0  # seconds before the first byte
    pause: float = 0.0  # seconds between two chunks
    tokens: int | None = None  # length of the answer
    chunks: int | None = None  # SSE data chunks of a stream, all told
    echo: bool = False
    cached: int = 0  # prompt tokens reported as cached
    responses: bool = False  # /v1/responses exists
    flaky: int | None = None  # percent of the calls that get the faults below
    cut: Cut | None = None
    hang: Hang | None = None
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None
    html: int | None = None
    redirect: bool = False
    lie: Lie | None = None
    huge: int | None = None  # bytes; 0 is the usual size
    bomb: int | None = None  # bytes after decompression
    headers: int = 0
    ignore_limit: bool = False
    filtered: bool = False

    @property
    def faulty(self) -> bool:
        """Whether any fault is asked for (pace and length are no faults)."""
        return self.calm() != self

    def calm(self) -> Behaviour:
        """The same pace and length without any fault."""
        return Behaviour(
            delay=self.delay,
            pause=self.pause,
            tokens=self.tokens,
            chunks=self.chunks,
            echo=self.echo,
            cached=self.cached,
            responses=self.responses,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: an example, its pattern, its meaning."""

    example: str
    pattern: re.Pattern[str]
    meaning: str
    changes: Callable[[re.Match[str]], dict[str, Any]]


def _seconds(text: str) -> float:
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def _bytes(text: str | None) -> int:
    if text is None:
        return 0
    unit = {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}.get(text[-2:], 1)
    return int(text.rstrip("KMGB")) * unit


def _cut(kind: CutKind, after: str | None, default: int | None) -> dict[str, Any]:
    return {"cut": Cut(kind, default if after is None else int(after))}


def _row(
    example: str,
    pattern: str,
    meaning: str,
    changes: Callable[[re.Match[str]], dict[str, Any]],
) -> Row:
    return Row(example, re.compile(pattern), meaning, changes)


_TIME = r"\d+(?:\.\d+)?(?:ms|s)"
_SIZE = r"\d+(?:KB|MB|GB)?"

TABLE = (
    _row("demo", r"demo|ok", "A normal answer (also `ok`).", lambda m: {}),
    _row(
        "ok-31",
        r"ok-(\d+)",
        "Exactly N SSE data chunks before [DONE]: one role chunk, the content chunks, "
        "one finish chunk and, when usage is asked for, one usage chunk; each its own "
        "socket write. Not streamed: N-2 tokens. max_tokens may still shorten it.",
        lambda m: {"chunks": int(m[1])},
    ),
    _row(
        "slow@500ms",
        rf"slow@({_TIME})",
        "Waits before the first byte.",
        lambda m: {"delay": _seconds(m[1])},
    ),
    _row(
        "drip@20ms:200",
        rf"drip@({_TIME})(?::(\d+))?",
        "Pauses between chunks; `:N` makes the answer N tokens long.",
        lambda m: {"pause": _seconds(m[1]), "tokens": int(m[2]) if m[2] else None},
    ),
    _row(
        "reset@37",
        r"reset@(\d+)",
        "TCP RST after N chunks (not streamed: halfway); 0 is before the headers.",
        lambda m: _cut("reset", m[1], None),
    ),
    _row(
        "hang",
        r"hang",
        "Takes the request and never sends a byte.",
        lambda m: {"hang": "silent"},
    ),
    _row(
        "hang_headers",
        r"hang_headers",
        "Sends the status line and never ends the headers.",
        lambda m: {"hang": "headers"},
    ),
    _row(
        "stall@5",
        r"stall@(\d+)",
        "Stops after N chunks (not streamed: halfway) and stays connected.",
        lambda m: _cut("stall", m[1], None),
    ),
    _row(
        "status-429@7",
        r"status-([45]\d\d)(?::([a-z_]+))?(?:@(.+))?",
        "Any 4xx or 5xx with the fitting error body; `:code` replaces its code; `@X` "
        "is the Retry-After, as it stands (`_` is a blank, `date:60` an HTTP date in "
        "60 s).",
        lambda m: {"status": int(m[1]), "code": m[2], "retry_after": m[3]},
    ),
    _row(
        "malformed@3",
        r"malformed(?:@(\d+))?",
        "Status 200 with broken JSON; in a stream, after N content chunks (0), half a "
        "JSON line and then [DONE].",
        lambda m: _cut("malformed", m[1], 0),
    ),
    _row(
        "html-502",
        r"html-(\d{3})",
        "An HTML page under that status (200 too).",
        lambda m: {"html": int(m[1])},
    ),
    _row(
        "truncated@9",
        r"truncated(?:@(\d+))?",
        "The stream ends cleanly after N chunks (half) without finish and [DONE]; not "
        "streamed: the body is shorter than its Content-Length.",
        lambda m: _cut("truncated", m[1], None),
    ),
    _row(
        "error-event@5",
        r"error-event@(\d+)",
        "An in-band error after N content chunks, then the stream ends; not streamed: "
        "an error body under status 200.",
        lambda m: _cut("error_event", m[1], 0),
    ),
    _row(
        "lie_usage-negative",
        r"lie_usage-(negative|huge|string|absent|low)",
        "Usage is negative, 10^12, text, left out, or a thousandth of the truth.",
        lambda m: {"lie": m[1]},
    ),
    _row(
        "huge@10MB",
        rf"huge(?:@({_SIZE}))?",
        "A JSON body of 100 MB, or one SSE line of 10 MB, or of that size.",
        lambda m: {"huge": _bytes(m[1])},
    ),
    _row(
        "bomb@1GB",
        rf"bomb@({_SIZE})",
        "A small deflated body that unpacks to that size.",
        lambda m: {"bomb": _bytes(m[1])},
    ),
    _row(
        "headers@10000",
        r"headers@(\d+)",
        "That many extra response headers.",
        lambda m: {"headers": int(m[1])},
    ),
    _row("redirect", r"redirect", "307 to itself.", lambda m: {"redirect": True}),
    _row(
        "ignore_max_tokens",
        r"ignore_max_tokens",
        "Sends twice max_tokens and 50 more.",
        lambda m: {"ignore_limit": True},
    ),
    _row(
        "filter",
        r"filter",
        "Stops after 8 tokens with finish_reason content_filter.",
        lambda m: {"filtered": True},
    ),
    _row(
        "flaky@50",
        r"flaky@(\d{1,2}|100)",
        "Exactly N of each 100 calls fail, in a seeded order: with the other faults "
        "of the name, or with a 500.",
        lambda m: {"flaky": int(m[1])},
    ),
    _row(
        "echo",
        r"echo",
        "Answers with the last user message, verbatim.",
        lambda m: {"echo": True},
    ),
    _row(
        "cached@40",
        r"cached@(\d+)",
        "Usage says that N prompt tokens were cached.",
        lambda m: {"cached": int(m[1])},
    ),
    _row(
        "responses",
        r"responses",
        "/v1/responses answers; for all other models it is 404.",
        lambda m: {"responses": True},
    ),
)

# Names that only a behaviour would have: a slip of the pen there must fail loudly,
# since a drill that injects nothing proves nothing.
_BEHAVIOUR_LIKE = re.compile(r".*[@+]|(?:ok|status|html|lie_usage)-|[a-z_]+$")


@lru_cache(maxsize=1024)
def parse(model: str) -> Behaviour:
    """The behaviour that `model` names; parts are joined by `+`, the last one wins.

    A leading `demo/` is dropped. A name that can't be a behaviour (one with a dash
    or a slash, such as `acme/large-2`) is an ordinary model and answers normally.
    Raises UnknownBehaviour for any other name that isn't in the table.
    """
    name = model.removeprefix("demo/")
    behaviour = Behaviour()
    for part in name.split("+"):
        changes = _changes(part)
        if changes is not None:
            behaviour = replace(behaviour, **changes)
        elif _BEHAVIOUR_LIKE.match(name) or not name:
            raise UnknownBehaviour(f"The demo provider has no behaviour {part!r}.")
    return behaviour


def _changes(part: str) -> dict[str, Any] | None:
    for row in TABLE:
        if match := row.pattern.fullmatch(part):
            return row.changes(match)
    return None


def describe() -> str:
    """The table as text, one behaviour a line."""
    return "\n".join(f"{row.example:<20} {row.meaning}" for row in TABLE)
