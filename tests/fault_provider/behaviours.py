"""The fault provider's behaviours by model name: a table and its parser."""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self

from valuecanvas.embedded.demo_provider.errors import RequestRefused

CutKind = Literal["reset", "stall", "truncated", "error_event", "malformed"]


class NotServed(RequestRefused):
    """There is no such behaviour, or no such endpoint for it."""

    status = 404


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour that a model name asks for; the defaults are a normal answer."""

    delay: float = 0.0  # seconds before the first byte
    pause: float = 0.0  # seconds between two chunks
    tokens: int | None = None  # length of the answer
    chunks: int | None = None  # SSE data chunks of a stream, in total
    echo: bool = False
    cached: int = 0  # prompt tokens reported as cached
    responses: bool = False  # /v1/responses exists
    flaky: int | None = None  # percent of the calls that get the faults below
    cut: CutKind | None = None  # how the answer is cut
    # Where it is cut, in SSE data chunks (with the role chunk); for error_event and
    # malformed in content chunks; None is halfway.
    after: int | None = None
    hang: Literal["silent", "headers"] | None = None
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None
    html: int | None = None
    redirect: bool = False
    lie: str | None = None
    huge: int | None = None  # bytes
    bomb: int | None = None  # bytes after decompression
    headers: int = 0
    ignore_limit: bool = False
    filtered: bool = False

    def without_faults(self) -> Self:
        """The same delays, length and content, without faults."""
        return type(self)(**{name: getattr(self, name) for name in _HARMLESS})


_HARMLESS = ("delay", "pause", "tokens", "chunks", "echo", "cached", "responses")


def _seconds(text: str) -> float:
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def _bytes(text: str) -> int:
    unit = {"KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}.get(text[-2:], 1)
    return int(text.rstrip("KMGB")) * unit


_NUMBER = (r"\d+", int)
_TIME = (r"\d+(?:\.\d+)?(?:ms|s)", _seconds)
_SIZE = (r"\d+(?:KB|MB|GB)?", _bytes)
# The form of a field's value in a model name; other fields are whole numbers.
_VALUES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "delay": _TIME,
    "pause": _TIME,
    "status": (r"[45]\d\d", int),
    "code": (r"[a-z_]+", str),
    "retry_after": (r".+", str),
    "html": (r"\d{3}", int),
    "lie": (r"negative|huge|string|absent|low", str),
    "huge": _SIZE,
    "bomb": _SIZE,
    "flaky": (r"\d{1,2}|100", int),
}


class BehaviourRow(NamedTuple):
    """One line of the table.

    In `form`, a field of Behaviour in capitals stands for its value, and brackets mark
    optional parts. `sets` are the fields that the name alone sets.
    """

    form: str
    pattern: re.Pattern[str]
    meaning: str
    sets: Mapping[str, Any]


def _row(form: str, meaning: str, **sets: Any) -> BehaviourRow:
    optional = form.replace("[", "(?:").replace("]", ")?")
    return BehaviourRow(
        form, re.compile(_CAPITALS.sub(_group, optional)), meaning, sets
    )


def _group(capitals: re.Match[str]) -> str:
    name = capitals[0].lower()
    return f"(?P<{name}>{_VALUES.get(name, _NUMBER)[0]})"


_CAPITALS = re.compile("[A-Z][A-Z_]*")
# Unless streamed, all cuts come halfway: a truncated body is shorter than its
# Content-Length; but an error event is an error body under status 200.
TABLE = (
    _row("demo", "A normal answer."),
    _row("ok", "A normal answer."),
    # One is the role chunk, one the finish chunk, and one that of usage if asked for;
    # each is a socket write of its own. Not streamed: N-2 tokens.
    _row("ok-CHUNKS", "Exactly N SSE data chunks before [DONE], unless limited."),
    _row("slow@DELAY", "Waits before the first byte: `500ms`, `1.5s`."),
    _row("drip@PAUSE[:TOKENS]", "Pauses between chunks; may be N tokens long."),
    _row("reset@AFTER", "TCP RST after N chunks; 0: before the headers.", cut="reset"),
    _row("hang", "Takes the request and never sends a byte.", hang="silent"),
    _row("hang_headers", "Never ends the headers.", hang="headers"),
    _row("stall@AFTER", "Stops after N chunks and stays connected.", cut="stall"),
    _row(
        "status-STATUS[:CODE][@RETRY_AFTER]",
        "Any 4xx or 5xx; Retry-After as it stands, or `date:60` for a date in 60 s.",
    ),
    _row("malformed[@AFTER]", "Broken JSON after N content.", cut="malformed", after=0),
    _row("html-HTML", "An HTML page under that status (200 too)."),
    _row("truncated[@AFTER]", "Ends cleanly after N chunks.", cut="truncated"),
    _row("error-event@AFTER", "Error after N content chunks.", cut="error_event"),
    _row("lie_usage-LIE", "Usage is negative, huge, string, absent, or low (1/1000)."),
    _row("huge@HUGE", "A JSON body of that size: `300KB`, `10MB`."),
    _row("bomb@BOMB", "A small deflated body that unpacks to that size."),
    _row("headers@HEADERS", "That many extra response headers."),
    _row("redirect", "307 to itself.", redirect=True),
    _row("ignore_max_tokens", "Twice max_tokens and 50 more.", ignore_limit=True),
    _row("filter", "Stops after 8 tokens with content_filter.", filtered=True),
    _row("flaky@FLAKY", "N of 100 calls have the other faults of the name, or a 500."),
    _row("echo", "Answers with the last user message, verbatim.", echo=True),
    _row("cached@CACHED", "Usage says that N prompt tokens were cached."),
    _row("responses", "/v1/responses answers; else it is 404.", responses=True),
)

# Names that look like a behaviour: a misspelt one must fail, since a test that injects no
# fault proves nothing.
_BEHAVIOUR_LIKE = re.compile(r".*[@+]|(?:ok|status|html|lie_usage)-|[a-z_]+$")


@lru_cache(maxsize=1024)
def parse(model: str) -> Behaviour:
    """The behaviour that `model` names; parts are joined by `+`, the last one wins.

    A name that can't be a behaviour (one with a dash or a slash, such as
    `acme/large-2`) is an ordinary model and answers normally. Raises RequestRefused
    (404) for any other name that isn't in the table.
    """
    behaviour = Behaviour()
    for part in model.split("+"):
        changes = _changes(part)
        if changes is not None:
            behaviour = replace(behaviour, **changes)
        elif _BEHAVIOUR_LIKE.match(model) or not model:
            message = f"The fault provider has no behaviour {part!r}."
            raise NotServed(message, param="model")
    return behaviour


def _changes(part: str) -> dict[str, Any] | None:
    for row in TABLE:
        if match := row.pattern.fullmatch(part):
            texts = match.groupdict()
            values = {
                name: _VALUES.get(name, _NUMBER)[1](text)
                for name, text in texts.items()
                if text is not None
            }
            return {**dict.fromkeys(texts), **row.sets, **values}
    return None


def describe() -> str:
    """The table as text, one behaviour a line."""
    return "\n".join(f"{row.form:<36}{row.meaning}" for row in TABLE)


class Overrides:
    """The current behaviour of each model: overrides by tests, turns of flaky models."""

    def __init__(self) -> None:
        self._by_model: dict[str, str] = {}
        self._calls: Counter[str] = Counter()
        self._unlucky: dict[str, list[int]] = {}

    def override(self, model: str, behaviour: str) -> None:
        """Makes `model` behave as named; its own name resets it.

        Raises RequestRefused.
        """
        parse(behaviour)
        self._by_model[model] = behaviour

    def behaviour(self, model: str) -> Behaviour:
        """What `model` does on this call. Raises RequestRefused (404) if unknown."""
        wanted = parse(self._by_model.get(model, model))
        if wanted.flaky is None:
            return wanted
        harmless = wanted.without_faults()
        if not self._fails_now(model, wanted.flaky):
            return harmless
        faults = replace(wanted, flaky=None)
        return faults if faults != harmless else replace(faults, status=500)

    def _fails_now(self, model: str, percent: int) -> bool:
        """Whether this call is one of the `percent` of each hundred that fail."""
        hundred, place = divmod(self._calls[model], 100)
        self._calls[model] += 1
        if place == 0:
            # Tests need the same pattern each time, not secrecy.
            shuffler = random.Random(f"7:{model}:{hundred}")
            self._unlucky[model] = shuffler.sample(range(100), 100)
        return self._unlucky[model][place] < percent
