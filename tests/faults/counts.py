"""How often a case is run: small in `make test`, as stated in `make faults`."""

import os
from typing import TypeVar

T = TypeVar("T")
FULL = os.environ.get("FAULTS") == "full"


def either(small: T, full: T) -> T:
    """`full` under FAULTS=full, else `small`."""
    return full if FULL else small
