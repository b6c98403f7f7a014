"""The telling words of a prompt: its subject, its audience, its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STOP_TEXT = """a about all also an and any are as at be been best but by can canvas canvases
    could create describe design detailed do does draft each for from generate get
    give good had has have help her here his how i idea ideas if in into is it its
    just know let like list made make many me model models more most much my name
    need new nine of on one only or our out over please plan prepare produce provide
    short should show simple so some such suggest tell than that the their them then
    there these they this those to under up us use using very want was we well were
    what when where which who whose why will with within work would write you your
    bmc block blocks business businesses company
    startup hello hey thanks thank yes okay"""
_STOP = frozenset(_STOP_TEXT.split())
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_CLAUSE_END = re.compile(r"[.!?\n;:{}\[\]<>\"“”]")
_AFTER_CANVAS = re.compile(
    r"\bcanvas(?:es)?\s+(?:for|of|about|on)\b"
    r"(?:\s+(?:this|the\s+following)\s+(?:business|company|idea|startup)\s*[:.])?"
    r"[\s:\"“]*(.+)",
    re.I | re.S,
)
_AFTER_LABEL = re.compile(
    r"\b(?:business|company|idea|description|product|startup)"
    r"(?:\s+(?:idea|description|name))?\s*[:=]\s*[\"“]?(.+)",
    re.I | re.S,
)
_ARTICLE = re.compile(r"^(?:a|an|the|my|our|your|this|new)\s+", re.I)
_INTENT = re.compile(
    r"^(?:we|i)\s+(?:(?:want|plan|would like)\s+to\s+)?"
    r"(?:sell|make|build|offer|run|open|start|create|provide)\s+",
    re.I,
)
_AUDIENCE = re.compile(r"\bfor\s+([\w'’& -]+?)(?:\s+(?:in|with|that|who|by|from)\b|$)")
_PLACE = re.compile(r"\bin\s+((?:[A-Z][\w'’-]*)(?:\s+[A-Z][\w'’-]*)*)")
_LONGEST = 80
_MOST_CLAUSE_WORDS = 14


@dataclass(frozen=True, slots=True)
class Subject:
    """What a prompt is about."""

    named: str  # with its article: "a coffee shop in Lisbon"
    bare: str  # without: "coffee shop in Lisbon"
    audience: str | None
    place: str | None
    words: tuple[str, ...]


def key_words(text: str, most: int = 6) -> tuple[str, ...]:
    """The first `most` different words of `text` that carry meaning."""
    seen: dict[str, str] = {}
    for word in _WORD.findall(text):
        key = word.lower()
        if len(key) > 2 and key not in _STOP:
            seen.setdefault(key, word)
        if len(seen) == most:
            break
    return tuple(seen.values())


def subject(text: str) -> Subject:
    """The subject of a prompt, found after 'canvas for', a label, or by its words."""
    named = _clause(text)
    bare = _ARTICLE.sub("", named)
    audience = _AUDIENCE.search(bare)
    place = _PLACE.search(bare)
    return Subject(
        named=named,
        bare=bare,
        audience=_ARTICLE.sub("", audience[1]) if audience else None,
        place=place[1] if place else None,
        words=key_words(f"{bare} {text}"),
    )


def _clause(text: str) -> str:
    for pattern in (_AFTER_CANVAS, _AFTER_LABEL):
        if (match := pattern.search(text)) and (clause := _cleaned(match[1])):
            return clause
    clause = _cleaned(text)
    brief = len(clause.split()) <= _MOST_CLAUSE_WORDS
    if brief and key_words(clause) and "canvas" not in clause.lower():
        return clause
    return " ".join(key_words(text, 4)) or "a new business"


def _cleaned(text: str) -> str:
    """The first clause of `text`, free of markup, cut at a word."""
    clause = _CLAUSE_END.split(text.strip(), maxsplit=1)[0]
    clause = " ".join(re.sub(r"[^\w\s'’&,/-]", " ", clause).split())
    clause = _INTENT.sub("", clause)
    if len(clause) > _LONGEST:
        clause = clause[:_LONGEST].rsplit(" ", 1)[0]
    return clause.strip(" ,-/")
