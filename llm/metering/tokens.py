"""Estimates tokens: bounds before a call, our own count after it.

A token is at least a byte, so the bytes of a request bound its tokens. Minute limits
count three bytes a token, plus a tenth, until the provider's count is known. Only a
request that does not fit by these is counted by a tokenizer (llm/metering/tokenizer.py)
before it is refused.
"""

import math
from dataclasses import dataclass

# Tokens that a chat template adds, and that it adds to explain tools.
TEMPLATE_TOKENS = 16
TOOLS_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """Tokens of one picture, page or second of sound: the usual and the most."""

    usual: int
    most: int


PICTURE = Picture(2_000, 16_400)
# By a part of the provider's name for the model, if its pictures cost more.
# 2,833 and 5,667 a tile: 4 tiles of a square, and 8 at most.
_PICTURES = {"gpt-4o-mini": Picture(25_501, 48_169)}


def picture(upstream_model: str) -> Picture:
    """The tokens of a picture in this model."""
    for part, known in _PICTURES.items():
        if part in upstream_model:
            return known
    return PICTURE


# A second of sound: providers count 10 to 32; 50 is the most of any encoder.
SOUND = Picture(32, 50)
# A page of a PDF is read as its text (3,000 if it is full) and as a picture.
PAGE = Picture(2_000, 5_000)
_PAGE_TEXT = 3_000
# Models whose tokenizer is the one that we count with, by a part of their names; others
# need more tokens for the same text, by up to this factor.
_OWN = (
    "chatgpt-4o",
    "gpt-4o",
    "gpt-4.1",
    "gpt-4.5",
    "gpt-5",
    "gpt-oss",
    "o1",
    "o3",
    "o4-mini",
)
OTHERS = 1.35
# Some have a token for each digit, where ours has one for three; by a part of the name.
_DIGITS = ("codellama", "command", "gemini", "gemma", "granite", "llama-2", "mistral", "mixtral", "phi-3", "qwen", "smollm", "yi-")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counted:
    """A prompt by our tokenizer: its texts, and the JSON around them."""

    texts: int
    rest: int
    # Digits in both.
    digits: int = 0

    def most(self, upstream_model: str) -> int:
        """The most tokens that this model's tokenizer can count."""
        name = upstream_model.lower().rpartition("/")[2]
        if name.startswith(_OWN):
            return self.rest + self.texts
        alone = self.digits if any(one in name for one in _DIGITS) else 0
        # Schemas of tools are in the rest: they are texts to a tokenizer as well.
        return math.ceil((self.rest + self.texts) * OTHERS) + alone


def page(upstream_model: str) -> Picture:
    """The tokens of a PDF page in this model."""
    return Picture(PAGE.usual, _PAGE_TEXT + picture(upstream_model).usual)


def of_bytes(size: int) -> int:
    """A high estimate of the tokens in `size` bytes of text: size / 3 x 1.1."""
    return (size * 11 + 29) // 30


def of_count(found: Counted) -> int:
    """A high estimate of the tokens of a counted prompt: a tenth more."""
    return found.rest + (found.texts * 11 + 9) // 10


def estimate_delivered(size: int, pieces: int) -> int:
    """Our count of `size` bytes that came in `pieces` stream events.

    Providers send about one token an event; where events are larger than a token can
    be, four bytes make one.
    """
    if pieces and size <= 8 * pieces:
        return pieces
    return (size + 3) // 4
