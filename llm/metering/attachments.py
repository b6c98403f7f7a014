"""Measures pictures, sounds and PDF files that a body holds as data."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm.metering import media, tokens

# Some of these are in every body that holds a sound or a file; in a text the quotes
# would be escaped.
MARKS = (b'"input_audio":', b'"file_data":')
# Where a part of each type has its data.
_PLACES = {
    "image_url": ("image_url", "url"),
    "input_image": ("image_url",),
    "input_audio": ("input_audio", "data"),
    "file": ("file", "file_data"),
    "input_file": ("file_data",),
}
_PICTURES = ("image_url", "input_image")
_PDF_HEAD = 1024  # readers look this far for the file's first word


@dataclass(frozen=True, slots=True)
class Attached:
    """The attachments of a request, which are not counted by their bytes."""

    # The texts that hold the data.
    data: tuple[str, ...] = ()
    sound_usual: int = 0
    sound_most: int = 0
    pages: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.data))


NOTHING = Attached()


def read_attachments(endpoint: str, body: dict[str, Any]) -> Attached:
    """The attachments in a body.

    Only where it belongs: elsewhere, or in another form, the same words are text.
    """
    found = [one for part in _parts(endpoint, body) if (one := _attached(part))]
    return Attached(
        data=tuple(text for one in found for text in one.data),
        sound_usual=sum(one.sound_usual for one in found),
        sound_most=sum(one.sound_most for one in found),
        pages=sum(one.pages for one in found),
    )


def _parts(endpoint: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in _objects(body.get("input" if endpoint == "responses" else "messages")):
        for name in ("content", "output"):
            yield from _objects(item.get(name))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def _attached(part: dict[str, Any]) -> Attached | None:
    kind = part.get("type")
    found: Any = part
    for name in _PLACES.get(kind, ()) if isinstance(kind, str) else ():
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        return None
    if kind in _PICTURES:
        return Attached((found,)) if found.startswith("data:image/") else None
    raw = _decoded(found)
    if not raw:
        return None
    if kind == "input_audio" or found.startswith("data:audio/"):
        named = part["input_audio"].get("format") if kind == "input_audio" else ""
        return _sound(found, raw, named if isinstance(named, str) else "")
    pdf = b"%PDF-" in raw[:_PDF_HEAD]
    return Attached((found,), pages=media.pages(raw)) if pdf else None


def _sound(data: str, raw: bytes, named: str) -> Attached:
    lasts = media.seconds(raw, named)
    rate = tokens.SOUND
    usual, most = (1 + int(lasts.usual) * rate.usual, 1 + int(lasts.most) * rate.most)
    return Attached(
        (data,), sound_usual=usual + rate.usual, sound_most=most + rate.most
    )


def _decoded(data: str) -> bytes:
    """The bytes of a data URL or of base64; empty for anything else."""
    payload = data.partition(",")[2] if data.startswith("data:") else data
    try:
        return base64.b64decode(
            payload.replace("\r", "").replace("\n", ""), validate=True
        )
    except (binascii.Error, ValueError):
        return b""
