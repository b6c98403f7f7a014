"""How often a case is run: small in `make test`, as stated in `make faults`."""

import os

FULL = os.environ.get("FAULTS") == "full"


def either(small: int, full: int) -> int:
    """`full` under FAULTS=full, else `small`."""
    return full if FULL else small
