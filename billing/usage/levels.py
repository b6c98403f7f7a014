"""Which sums are kept: combinations of dimensions, by hour, by day and by week.

A report reads the first level, from the fewest rows to the most, that has its dimensions;
of whole weeks those of the week, where there are such.
"""

from dataclasses import dataclass

CALLER = ("team", "customer_id", "key")
MODEL = ("model", "provider", "endpoint")
PROMPT = ("prompt_key", "prompt_version", "variant")
TAGS = ("tags",)
DIMENSIONS = (*CALLER, *MODEL, *PROMPT, *TAGS)


@dataclass(frozen=True, slots=True)
class Level:
    """Sums by `grain` (hour, day or week) of each combination of `columns`."""

    number: int
    grain: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"by {self.grain}: {', '.join(self.columns)}"


# The numbers are in the database, and each is a partition there.
LEVELS = (
    Level(1, "hour", MODEL),
    Level(2, "hour", TAGS),
    Level(3, "hour", CALLER),
    Level(4, "hour", (*MODEL, *PROMPT)),
    Level(11, "day", MODEL),
    Level(12, "day", TAGS),
    Level(13, "day", CALLER),
    Level(14, "day", (*MODEL, *PROMPT)),
    Level(15, "day", (*CALLER, *MODEL)),
    Level(16, "day", (*CALLER, *PROMPT)),
    Level(17, "day", (*CALLER, *TAGS)),
    Level(18, "day", DIMENSIONS),
)
# Of the levels with many sums a day, by their numbers: a week is the sum of its days.
WEEKS = {
    one.number: Level(one.number + 10, "week", one.columns)
    for one in LEVELS
    if one.number in (15, 16, 17, 18)
}


def find_level(columns: set[str], grain: str) -> Level | None:
    """The level of the fewest rows that has all `columns`; None: only the ledger has."""
    fitting = (
        one for one in LEVELS if one.grain == grain and columns <= set(one.columns)
    )
    return next(fitting, None)
