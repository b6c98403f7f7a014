"""The scopes of budgets and counters: to add one, begin here."""

import re
from enum import Enum
from typing import NamedTuple

# Most names of tags of one request, and their length.
MOST_TAGS, LONGEST_TAG = 8, 60
TAG_RULE = (
    f"A tag has 1 to {LONGEST_TAG} characters: letters, digits, '.', '_', ':' and '-'."
)
_TAG = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_TAG}}}")


def is_tag(name: str) -> bool:
    return _TAG.fullmatch(name) is not None


class _Names(NamedTuple):
    letter: str  # in names of counters
    label: str
    whose: str  # for the caller
    field: str  # of a budget
    column: str  # of the ledger and of reservations


class BudgetScope(_Names, Enum):
    """Whom a counter counts and a budget limits, in the order of the checks."""

    GLOBAL = "g", "Everyone", "everyone", "", ""
    TEAM = "t", "A team", "your team", "team", "team"
    CUSTOMER = "c", "A customer", "this user", "customer", "customer_id"
    KEY = "k", "An API key", "this API key", "api_key", "key"
    MODEL = "m", "A model", "this model", "model", "model"
    TAG = "x", "A tag", "this tag", "tag", "tags"

    @property
    def kind(self) -> str:
        """The scope in rows of budgets."""
        return self.name.lower()


BY_KIND = {one.kind: one for one in BudgetScope}
BY_LETTER = {one.letter: one for one in BudgetScope}
ORDER = "".join(BY_LETTER)
# The name of a counter's scope is one of these and an id: plain text for the hot path.
GLOBAL, TEAM, CUSTOMER, KEY, MODEL, TAG = (f"{one.letter}:" for one in BudgetScope)
