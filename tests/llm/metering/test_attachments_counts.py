"""Sounds, PDF files and pictures as data: counted by what they are, not by their bytes."""

import base64
import io
import struct
import wave
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.metering import media, tokens
from llm.request import shape as checks

TIER_TOKENS = 20_000  # a minute of the free tier


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def wav(seconds: float, rate: int = 16_000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(b"\0\0" * int(seconds * rate) * channels)
    return file.getvalue()


def pdf(pages: int, *, packed: bool = False) -> bytes:
    objects = b"".join(b"<< /Type /Page /Parent 2 0 R >>\n" for _ in range(pages))
    tree = b"<< /Type /Pages /Count %d >>\n" % pages
    if not packed:
        return b"%PDF-1.4\n" + tree + objects
    stream = zlib.compress(tree + objects)
    head = b"<< /Type /ObjStm /Length %d >>\nstream\r\n" % len(stream)
    return b"%PDF-1.7\n" + head + stream + b"\nendstream\n%%EOF"


def sound(raw: bytes, named: str = "wav", *, responses: bool = False) -> dict[str, Any]:
    part = {"type": "input_audio", "input_audio": {"data": b64(raw), "format": named}}
    return shape(part, responses=responses)


def shape(part: dict[str, Any], *, responses: bool = False) -> dict[str, Any]:
    """What a message of this part is counted for."""
    items = [{"role": "user", "content": [part]}]
    body = {"model": "m", "input" if responses else "messages": items}
    found = (checks.responses if responses else checks.chat)(body)
    return {"shape": found, "bytes": found.prompt_bytes, "usual": found.prompt_tokens}


KILOBYTES = 60_000
SOUNDS = {
    "wav": wav(1.85),
    "mp3": b"ID3\x04" + b"\x01" * KILOBYTES,
    "mp3 without a tag": b"\xff\xfb\x90\x00" + b"\x01" * KILOBYTES,
    "aac": b"\xff\xf1\x50\x80" + b"\x01" * KILOBYTES,
    "ogg": b"OggS" + b"\x01" * KILOBYTES,
    "flac": b"fLaC" + b"\x01" * KILOBYTES,
    "wav that is none": b"\0" * KILOBYTES,
    "adpcm": wav(1.0)[:20] + struct.pack("<H", 17) + wav(1.85)[22:],
}


@pytest.mark.parametrize("responses", [False, True])
@pytest.mark.parametrize("name", SOUNDS)
def test_sound__of_sixty_kilobytes__fits_the_free_tier(
    name: str, responses: bool
) -> None:
    found = sound(SOUNDS[name], "wav", responses=responses)
    assert found["bytes"] < 300
    assert 10 < found["usual"] < TIER_TOKENS // 4


@pytest.mark.parametrize("seconds", [0.5, 60, 600])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2)])
def test_sound__wav__is_as_long_as_its_header_says(
    seconds: float, rate: int, channels: int
) -> None:
    found = sound(wav(seconds, rate, channels))["shape"].attached
    # What providers count at least and at most: 10 and 32 tokens a second.
    assert seconds * 32 <= found.sound_usual <= seconds * 32 + 100
    assert seconds * 50 <= found.sound_most <= seconds * 50 + 120


def test_sound__bytes_that_no_header_explains__are_bounded_from_above() -> None:
    lies = bytearray(wav(10))
    lies[24:28] = struct.pack("<I", 2**31)  # samples of a second
    assert media.seconds(bytes(lies)).most > 100
    assert media.seconds(b"ID3" + bytes(1_000_000)).most >= 1_000
    assert media.seconds(bytes(48_000), "pcm16").usual == 1
    assert media.seconds(b"RIFF0000WAVEfmt ").most > 0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("responses", [False, True])
def test_pdf__pages__are_counted_packed_or_not(packed: bool, responses: bool) -> None:
    data = "data:application/pdf;base64," + b64(pdf(7, packed=packed) + bytes(90_000))
    flat = {"type": "input_file", "file_data": data}
    part = flat if responses else {"type": "file", "file": {"file_data": data}}
    found = shape(part, responses=responses)
    assert found["shape"].attached.pages == 7
    assert found["bytes"] < 300
    assert 7 * tokens.PAGE.usual < found["usual"] < TIER_TOKENS


def test_pdf__pages_that_cannot_be_counted__are_bounded_by_bytes() -> None:
    assert media.pages(b"%PDF-1.7" + bytes(100_000)) == 51
    broken = b"%PDF-1.7 /ObjStm stream\nencrypted" + bytes(100_000)
    assert media.pages(broken) >= 50
    assert media.pages(b"%PDF-1.7 /ObjStm") >= 1


def test_pdf__bomb__is_not_unpacked_to_its_end() -> None:
    bomb = zlib.compress(b"/Page " * 10_000_000)
    raw = b"%PDF-1.7 /ObjStm stream\n" + bomb + b"\nendstream"
    assert media.pages(raw * 3) < 1_000
    many = b"/ObjStm stream\n" + zlib.compress(b"/Page") + b"\nendstream"
    assert 1_000 < media.pages(many * 1_002) < 1_100
    assert media.pages(b"%PDF-1.7" + b"/ObjStm" * 2_000_000) > 7_000


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.sampled_from([b"RIFF0000WAVEfmt ", b"%PDF-", b""]))
def test_media__any_bytes__are_read_without_an_error(raw: bytes, head: bytes) -> None:
    lasts = media.seconds(head + raw)
    assert 0 <= lasts.usual <= lasts.most
    assert media.pages(head + raw) >= 1
    cut = raw.replace(b"e", b"/ObjStm stream\n")
    assert media.pages(head + cut) >= 1


WORDS = "word " * 10_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": WORDS, "format": "wav"}},
        {"type": "input_audio", "input_audio": WORDS},
        {"type": "input_audio", "input_audio": {"data": [WORDS]}},
        {"type": "text", "input_audio": {"data": b64(WORDS.encode())}},
        {"type": "file", "file": {"file_data": b64(WORDS.encode())}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64," + WORDS}},
        {"type": "file", "file": {"file_id": WORDS, "file_data": b64(pdf(1))}},
        {"type": ["file"], "file": {"file_data": WORDS}},
    ],
)
def test_attachment__only_looks_like_one__is_text(part: dict[str, Any]) -> None:
    assert shape(part)["bytes"] > len(WORDS)


def test_sound__named_by_no_text__is_counted_all_the_same() -> None:
    found = shape({"type": "input_audio", "input_audio": {"data": b64(bytes(900)), "format": 3}})  # fmt: skip
    assert found["shape"].attached.sound_usual > 0
    adapt_parameters = "data:audio/mp3;base64," + b64(b"ID3" + bytes(900))
    found = shape({"type": "file", "file": {"file_data": adapt_parameters}})
    assert found["shape"].attached.sound_usual > 0
