"""Parses versions (semver.org 2.0) for comparison."""

import re

_VERSION = re.compile(
    r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?"
    r"(?:-([0-9A-Za-z-]{1,40}(?:\.[0-9A-Za-z-]{1,40}){0,9}))?(?:\+[0-9A-Za-z.-]{0,80})?"
)
Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
# After every prerelease: a release is newer than its prereleases.
_RELEASE = ((2, 0, ""),)


def parse_version(text: object) -> Version | None:
    """A sortable tuple; None: `text` is not a version. '2' and '2.1' are allowed."""
    if not isinstance(text, str) or (found := _VERSION.fullmatch(text)) is None:
        return None
    major, minor, patch, before = found.groups()
    words = tuple(_word(one) for one in before.split(".")) if before else _RELEASE
    return int(major), int(minor or 0), int(patch or 0), words


def _word(text: str) -> tuple[int, int, str]:
    """A sort key: numbers sort as numbers, and before words."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
