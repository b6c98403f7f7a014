"""Secrets that anybody could guess, and those that nobody can."""

import base64
import secrets
import string

import pytest

from valuecanvas.settings.secret_strength import weakness

WEAK = [
    "a",
    "a" * 64,
    "\0" * 32,
    "ab" * 32,
    "0123456789" * 5,
    "abcdefgh12345678" * 2,
    string.ascii_lowercase + string.digits,
    string.digits + string.ascii_uppercase[::-1],
    "".join(map(chr, range(32))),
    "correct horse battery staple"[:31],
    "changeme-changeme-changeme-1234567",
    "django-insecure-8f3k2j5h6g7d9s0a1q2w3e4r5t6y7u8i",
    "my-super-secret-key-for-production-2024",
    "your-256-bit-key-goes-here-0a9s8d7f",
]


@pytest.mark.parametrize("value", WEAK)
def test_weakness__of_what_can_be_guessed__is_told(value: str) -> None:
    assert weakness(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_urlsafe(32),
        lambda: secrets.token_urlsafe(50),
        lambda: secrets.token_hex(32),
        lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
        lambda: secrets.token_bytes(32).decode("latin-1"),
        lambda: "".join(secrets.choice(string.ascii_letters) for _ in range(32)),
    ],
)
def test_weakness__of_random_text__is_none(make) -> None:
    for _ in range(2000):
        value = make()
        assert weakness(value) == "", value
