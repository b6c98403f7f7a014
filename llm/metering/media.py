"""Estimates the length of sounds and the pages of PDF files from their bytes.

A bound is enough to reserve money. What cannot be read counts as the most compact
format of its kind, so as the longest.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# Bytes a second: the usual, and the least.
_MP3 = (4_000, 1_000)  # 32 kbit/s; its lowest rate is 8
_COMPRESSED = (2_000, 750)  # Opus, AAC and others: 16 kbit/s, 6
_RAW = {"pcm16": (48_000, 16_000), "g711_ulaw": (8_000, 8_000), "g711_alaw": (8_000, 8_000)}  # fmt: skip
# Wave formats whose samples have all one size: PCM, float, A-law, u-law, extensible.
_PLAIN_WAVES = frozenset({1, 3, 6, 7, 0xFFFE})
_WAVE_HEAD = 4096
# Of a PDF whose pages cannot be counted.
_PAGE_BYTES = 2_000
# Most packed streams, and most unpacked bytes, that are searched for pages.
_MOST_STREAMS = 1_000
_MOST_UNPACKED = 8_388_608


@dataclass(frozen=True, slots=True)
class Seconds:
    usual: float
    most: float


def seconds(raw: bytes, named: str = "") -> Seconds:
    """The length of a sound. `named` is its format, for data without a header."""
    usual, least = _rates(raw, named)
    return Seconds(len(raw) / usual, len(raw) / least)


def _rates(raw: bytes, named: str) -> tuple[float, float]:
    if raw[:4] == b"RIFF" and raw[8:12] == b"WAVE":
        rate = _wave_rate(raw[:_WAVE_HEAD])
        return (rate, rate) if rate else _COMPRESSED
    # Frames of MPEG audio begin with eleven bits; with layer 0 they are AAC.
    frame = len(raw) > 1 and raw[0] == 0xFF and raw[1] & 0xE0 == 0xE0 and raw[1] & 6
    if raw[:3] == b"ID3" or frame:
        return _MP3
    return _RAW.get(named, _COMPRESSED)


def _wave_rate(head: bytes) -> int:
    """Bytes a second by a WAV's header; 0 if it is compressed or not credible."""
    at = head.find(b"fmt ")
    if at < 0 or len(head) < at + 24:
        return 0
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
    known = kind in _PLAIN_WAVES and 1 <= channels <= 8 and bits in (8, 16, 24, 32, 64)
    return rate * channels * bits // 8 if known and 4_000 <= rate <= 384_000 else 0


def pages(raw: bytes) -> int:
    """The most pages that a PDF can have, as well as that can be found."""
    found, left = _page_objects(raw), _MOST_UNPACKED
    for packed in _packed(raw):
        unpacked = _unpacked(packed, left)
        left -= len(unpacked)
        if not unpacked or left <= 0:
            # It may be encrypted: its content is unknown.
            return found + len(raw) // _PAGE_BYTES + 1
        found += _page_objects(unpacked)
    return found or len(raw) // _PAGE_BYTES + 1


def _page_objects(raw: bytes) -> int:
    return raw.count(b"/Page") - raw.count(b"/Pages")


def _packed(raw: bytes) -> Iterator[bytes]:
    """The streams that hold objects of a PDF; an empty one instead of too many."""
    at, number = raw.find(b"/ObjStm"), 0
    while at >= 0:
        start = raw.find(b"stream", at)
        end = raw.find(b"endstream", start + 6) if start >= 0 else -1
        number += 1
        if end < 0 or number > _MOST_STREAMS:
            yield b""
            return
        yield raw[start + 6 : end].lstrip(b"\r\n")
        at = raw.find(b"/ObjStm", end)


def _unpacked(packed: bytes, most: int) -> bytes:
    """The unpacked objects; empty if they cannot be read or are too large."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(packed, most)
    except zlib.error:
        return b""
    return unpacked if unpacking.eof else b""
