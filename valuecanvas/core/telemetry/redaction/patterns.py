"""The kinds of personal data and secrets: how each looks, and how it is checked.

RE2 runs these patterns in linear time, whatever the text.
"""

from dataclasses import dataclass
from typing import Any

import re2

from valuecanvas.core.telemetry.redaction.checks import (
    Check,
    is_address,
    is_basic,
    is_bearer,
    is_card,
    is_iban,
    valid,
)

# Keys of services, ours first. Each begins with letters of its own.
KEYS = (
    r"vc-[A-Za-z0-9]{4,20}-[\w-]{20,}",
    r"sk-[\w-]{16,}",
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_\w{20,}",
    r"glpat-[\w-]{20,}",
    r"xox[abeoprs]-[\w-]{10,}",
    r"xapp-[\w-]{10,}",
    r"AIza[\w-]{35,}",
    r"ya29\.[\w-]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"(?:gsk_|xai-|hf_|npm_|r8_|pplx-|nvapi-|shpat_|dop_v1_|dckr_pat_)[\w-]{20,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    r"hooks\.slack\.com/services/[\w/]+",
    r"discord(?:app)?\.com/api/webhooks/[\w/-]+",
)
# What names a secret before a colon or an equals sign.
NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret|sessionid|csrftoken|csrfmiddlewaretoken|"
    r"authorization|(?:api|access|account|private|secret|signing)[_-]?key|apikey|token"
)
SECRET_NAME = re2.compile(rf"(?i)(?:^|[_-])(?:{NAMES}|cookie)$")
_HEX = "[0-9A-Fa-f]{1,4}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of text. If `expression` has a group, that alone is replaced.

    What stands directly after one of the characters `not_after`, or before more of
    the same number, is a part of something else, such as of an id or a version.
    """

    kind: str
    expression: str
    check: Check | None = None
    not_after: bytes = b""

    def compile(self) -> Any:
        return re2.compile(self.expression.encode())


def _number(kind: str, expression: str, check: Check | None = None) -> Pattern:
    return Pattern(kind, rf"\b{expression}\b", check, b"-._")


PATTERNS = (
    Pattern(
        "private key",
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\w+/=\\:,.\s-]*",
    ),
    Pattern("token", r"\beyJ[\w-]{8,}(?:\.[\w-]*){1,4}"),
    Pattern("key", rf"\b(?:{'|'.join(KEYS)})"),
    Pattern("credentials", r"(?i:bearer)\s+[\w.~+/=-]{8,}", is_bearer),
    Pattern("credentials", r"(?i:basic)\s+[A-Za-z0-9+/_-]{6,}={0,2}", is_basic),
    Pattern("password", r"""://([^\s/:@"'<>?#]*:[^\s/@"'<>]+)@"""),
    Pattern("secret", r"""(?i)\bcookie["']?\s?[:=]\s?([^\r\n]+)"""),
    Pattern(
        "secret",
        rf"""(?i:{NAMES})\\?["']?\s?[:=]\s?\\?["']?([^\s"'\\,;&<>()\[\]{{}}]{{4,}})""",
    ),
    Pattern(
        "email",
        r"[\p{L}\p{N}._%+-][\p{L}\p{N}._%+'-]*(?:@|%40)(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}",
    ),
    Pattern(
        "card",
        r"\b(?:\d{13,19}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{4,5})\b",
        is_card,
        b".",
    ),
    # None has fewer than 15 characters; the end of a UUID has 12.
    Pattern(
        "iban",
        r"\b(?i:[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2} ?[A-Z0-9]{3}(?:[A-Z0-9](?: ?[A-Z0-9]{4}){0,4}(?: ?[A-Z0-9]{1,3})?)?)\b",
        is_iban,
    ),
    _number("ip", r"(?:\d{1,3}\.){3}\d{1,3}", is_address),
    Pattern(
        "ip",
        rf"\b(?:(?:{_HEX}:){{7}}{_HEX}|(?:{_HEX}:){{1,7}}:(?:{_HEX}(?::{_HEX}){{0,5}})?)",
        is_address,
    ),
    # National ids, with a sum or a form that is checked.
    _number("id", r"\d{3}-\d{2}-\d{4}", valid("us", "ssn")),
    _number("id", r"(?i:[A-CEGHJ-PR-TW-Z]{2}(?: ?\d{2}){3} ?[A-D])"),
    _number(
        "id", r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", valid("fr", "nir")
    ),  # fmt: skip
    _number("id", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", valid("de", "idnr")),
    _number("id", r"\d{8}-?[A-Za-z]", valid("es", "dni")),
    _number("id", r"[XYZxyz]-?\d{7}-?[A-Za-z]", valid("es", "nie")),
    _number(
        "id", r"(?i:[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z])", valid("it", "codicefiscale")
    ),  # fmt: skip
    _number("id", r"\d{3}\.?\d{3}\.?\d{3}-?\d\d", valid("br", "cpf")),
    _number("id", r"\d{4} \d{4} \d{4}", valid("in", "aadhaar")),
    _number("id", r"[A-Z]{5}\d{4}[A-Z]", valid("in", "pan")),
    _number("id", r"\d{11}", valid("pl", "pesel")),
    _number("id", r"(?:\d\d)?\d{6}[-+]\d{4}", valid("se", "personnummer")),
    _number("id", r"\d{6}-\d{4}", valid("dk", "cpr")),
    _number("id", r"\d{6}[-+A]\d{3}[0-9A-Z]", valid("fi", "hetu")),
    _number("id", r"756\.?\d{4}\.?\d{4}\.?\d{2}", valid("ch", "ssn")),
    _number("id", r"(?i:[A-Z]{4}\d{6}[A-Z]{6}[A-Z0-9]\d)", valid("mx", "curp")),
    _number("id", r"\d{17}[0-9Xx]", valid("cn", "ric")),
    _number("id", r"\d{6}-\d{7}", valid("kr", "rrn")),
    _number("id", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", valid("be", "nn")),
    Pattern(
        "phone",
        r"(?:\+|\b00 ?)[1-9]\d{0,2}(?:[ .-]?\(\d{1,5}\))?(?:[ ./-]?\d){4,12}\b",
        None,
        b"-._",
    ),
    Pattern("phone", r"\(\d{2,5}\) ?\d{3,4}[ .-]?\d{3,4}\b"),
    _number("phone", r"\d{3}[ .-]\d{3}[ .-]\d{4}"),
    _number("phone", r"0\d{2,5}[ /-]\d{3,4}[ -]?\d{3,4}"),
)
