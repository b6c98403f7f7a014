"""Reads settings from the environment, else a file, else AWS Secrets Manager.

A bad value stops the start.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """One environment variable: what it is for, its default as text, and what it takes."""

    name: str
    help: str
    default: str
    wants: str


# Filled while the settings are imported; .env.example and docs/reference are held to it.
DECLARED: dict[str, Setting] = {}


def _raw(name: str, help_text: str, default: str, wants: str) -> str:
    # What reads a setting before or beside the settings says nothing about it.
    if help_text:
        DECLARED[name] = Setting(name, help_text, default, wants)
    return _given(name) or _from_secrets_manager(name) or default


def _given(name: str) -> str:
    """The value in the environment, or in the file that NAME_FILE names."""
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names a file that cannot be read: {error.strerror}."
            ) from error
    return value


def _from_secrets_manager(name: str) -> str:
    """The member `name` of the secret AWS_SECRETS_NAME, where that is set; null is none."""
    secret = _given("AWS_SECRETS_NAME")
    if not secret or name == "AWS_SECRETS_NAME":
        return ""
    value = _read_secret(secret).get(name)
    return "" if value is None else str(value).strip()


@cache
def _read_secret(secret: str) -> Mapping[str, object]:
    """The members of a secret, read once. Raises ImproperlyConfigured."""
    # Its import takes longer than all the rest of the settings, and few need it.
    boto3, config = import_module("boto3"), import_module("botocore.config")
    limits = config.Config(
        connect_timeout=5, read_timeout=5, retries={"max_attempts": 3}
    )
    try:
        client = boto3.client("secretsmanager", config=limits)
        found = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    except Exception as error:  # noqa: BLE001 - boto3 makes its classes at run time
        # Without its message: that of a JSON error shows the value.
        raise ImproperlyConfigured(
            f"AWS_SECRETS_NAME: the secret {secret!r} cannot be read "
            f"({type(error).__name__}). It must be a JSON object of settings, and the "
            "credentials of this process must allow secretsmanager:GetSecretValue."
        ) from None
    if not isinstance(found, dict):
        raise ImproperlyConfigured(
            f"AWS_SECRETS_NAME: the secret {secret!r} is no JSON object of settings."
        )
    return found


def _parse(name: str, value: str, parse: Callable[[str], T], wants: str) -> T:
    try:
        return parse(value)
    except ValueError as error:
        # Without the value: it may be a secret.
        raise ImproperlyConfigured(f"{name} must be {wants}.") from error


def text(name: str, help_text: str, default: str = "") -> str:
    return _raw(name, help_text, default, "text")


def flag(name: str, help_text: str, *, default: bool) -> bool:
    def parse(value: str) -> bool:
        return {"on": True, "true": True, "1": True, "yes": True,
                "off": False, "false": False, "0": False, "no": False}[value.lower()]  # fmt: skip

    wants = "on or off"
    value = _raw(name, help_text, "on" if default else "off", wants)
    try:
        return parse(value)
    except KeyError as error:
        raise ImproperlyConfigured(f"{name} must be {wants}.") from error


def integer(
    name: str, help_text: str, default: int, *, low: int = 0, high: int = 2**31
) -> int:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(name)
        return number

    wants = f"a whole number from {low} to {high}"
    return _parse(name, _raw(name, help_text, str(default), wants), parse, wants)


def number(
    name: str, help_text: str, default: float, *, low: float, high: float
) -> float:
    def parse(value: str) -> float:
        result = float(value)
        if not low <= result <= high:
            raise ValueError(name)
        return result

    wants = f"a number from {low} to {high}"
    return _parse(name, _raw(name, help_text, str(default), wants), parse, wants)


def choice(name: str, help_text: str, default: str, options: tuple[str, ...]) -> str:
    wants = f"one of: {', '.join(options)}"
    value = _raw(name, help_text, default, wants).lower()
    if value not in options:
        raise ImproperlyConfigured(f"{name} must be {wants}.")
    return value


def words(name: str, help_text: str, default: str = "") -> list[str]:
    value = _raw(name, help_text, default, "words, with commas")
    return [part.strip() for part in value.split(",") if part.strip()]


def pairs(name: str, help_text: str, default: str = "") -> dict[str, str]:
    """Pairs as in `name=value,name=value`; values may be percent-encoded."""

    def parse(value: str) -> dict[str, str]:
        found = {}
        for part in filter(None, map(str.strip, value.split(","))):
            key, equals, text = part.partition("=")
            decoded = unquote(text.strip())
            plain = part.isascii() and decoded.isascii() and decoded.isprintable()
            if not (key.strip() and equals and plain):
                raise ValueError(name)
            found[key.strip()] = decoded
        return found

    wants = "pairs of plain text as in name=value, with commas"
    return _parse(name, _raw(name, help_text, default, wants), parse, wants)


def url(
    name: str, help_text: str, default: str = "", *, schemes: tuple[str, ...]
) -> str:
    def parse(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(name)
        return value

    wants = f"a URL that begins with {' or '.join(schemes)}"
    value = _raw(name, help_text, default, wants)
    return _parse(name, value, parse, wants) if value else ""
