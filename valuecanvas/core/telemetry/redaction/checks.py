"""Tells numbers of people and banks from other numbers, by their checksums."""

import base64
import binascii
import ipaddress
from collections.abc import Callable

from stdnum import get_cc_module, iban

Check = Callable[[str], bool]

# The digit of a number that is counted twice, by Luhn's rule.
_DOUBLED = str.maketrans("0123456789", "0246813579")
_PIECES = str.maketrans("", "", " -")


def is_card(found: str) -> bool:
    """Whether these are the 13 to 19 digits of a payment card."""
    digits = found.translate(_PIECES)
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    turned = digits[::-1]
    doubled = turned[1::2].translate(_DOUBLED)
    # Codes instead of int(): the code of "0" is 48.
    codes = sum(map(ord, turned[::2])) + sum(map(ord, doubled))
    return (codes - 48 * len(digits)) % 10 == 0


def is_iban(found: str) -> bool:
    """Whether this is an IBAN, perhaps with words after it."""
    words = found.upper().split(" ")
    # In a sentence, words after it may have been taken for its groups.
    most = max(1, len(words) - 3)
    return any(
        _is_97(compact) and iban.is_valid(compact)
        for compact in ("".join(words[:n]) for n in range(len(words), most - 1, -1))
    )


def _is_97(compact: str) -> bool:
    digits = "".join([str(int(one, 36)) for one in compact[4:] + compact[:4]])
    return int(digits) % 97 == 1


def is_address(found: str) -> bool:
    """Whether this is an IP address of a machine other than this one."""
    try:
        address = ipaddress.ip_address(found.strip("."))
    except ValueError:
        return False
    if address.version == 6 and not any(map(str.isdigit, found)):
        return False  # a::b is a name in some languages
    return not (address.is_loopback or address.is_unspecified)


def is_bearer(found: str) -> bool:
    """Whether what follows the word is a token, and no other word."""
    token = found.split()[-1]
    return len(token) >= 20 or any(map(str.isdigit, token))


def is_basic(found: str) -> bool:
    """Whether what follows the word is a name and a password in Base64."""
    token = found.split()[-1].rstrip("=")
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return False


def valid(country: str, number: str) -> Check:
    """The check of a national number by stdnum. Raises LookupError if it has none."""
    module = get_cc_module(country, number)
    if module is None:
        raise LookupError(f"stdnum has no module {country}.{number}.")
    return module.is_valid
