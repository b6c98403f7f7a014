"""Counts of tokens: bounds before a call, our own count after it.

No tokenizer runs on the hot path. A token is at least a byte, so the bytes of a request
bound its tokens whatever it says; three bytes a token, plus a tenth, is what a minute's
limit counts with until the provider's count is known.
"""

from dataclasses import dataclass

# What a chat template adds of its own, and what it adds to say how tools are called.
TEMPLATE_TOKENS = 16
TOOLS_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """Tokens of one picture: what it often comes to, and what it comes to at most."""

    usual: int
    most: int


PICTURE = Picture(2_000, 16_400)
# By a part of the provider's name for the model, where its pictures come to more.
# 2,833 and 5,667 a tile: 4 tiles of a square, and 8 at most.
_PICTURES = {"gpt-4o-mini": Picture(25_501, 48_169)}


def picture(upstream_model: str) -> Picture:
    """What a picture comes to in this model."""
    for part, known in _PICTURES.items():
        if part in upstream_model:
            return known
    return PICTURE


def of_bytes(size: int) -> int:
    """A high estimate of the tokens in `size` bytes of text: size / 3 x 1.1."""
    return (size * 11 + 29) // 30


def delivered(size: int, pieces: int) -> int:
    """Our count of `size` bytes that came in `pieces` stream events.

    Providers send about one token an event; where events are larger than a token can
    be, four bytes make one.
    """
    if pieces and size <= 8 * pieces:
        return pieces
    return (size + 3) // 4
