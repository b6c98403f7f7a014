"""The invariants of counters, reservations and ledger, described for people."""

from dataclasses import dataclass

OVERDUE_S = 60


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant. `unit` is of expected and found: usd (micro), requests,
    seconds or rows.
    """

    name: str
    title: str
    meaning: str
    unit: str


INVARIANTS = (
    Invariant(
        "spent",
        "Money spent",
        "The spend in a day's counter is the sum of that day's requests, for everyone and "
        "for each team, customer and key.",
        "usd",
    ),
    Invariant(
        "used",
        "Requests counted",
        "The requests that count against a quota are those answered or billed, plus "
        "those under way.",
        "requests",
    ),
    Invariant(
        "reserved",
        "Money held",
        "The money that a counter reserves is the most that the requests under way may "
        "cost.",
        "usd",
    ),
    Invariant(
        "ended_once",
        "Every request ends once",
        "No request is both billed and still under way.",
        "rows",
    ),
    Invariant(
        "overdue",
        "Nothing is held too long",
        f"No money is held more than {OVERDUE_S} seconds past the longest time that "
        "its request may take.",
        "seconds",
    ),
    Invariant(
        "corrections",
        "Corrections have their request",
        "Every correction in the ledger names one request of the same customer.",
        "rows",
    ),
    Invariant(
        "rolled_up_cost",
        "Reports show what was spent",
        "The sums that reports read (costs, provider's costs and savings) are those of the "
        "ledger's rows, by day, and each week's those of its days. If not: "
        "manage.py rollup_usage --rebuild.",
        "usd",
    ),
    Invariant(
        "rolled_up_rows",
        "Reports count every request",
        "The sums that reports read count every row of the ledger, by day and by week.",
        "requests",
    ),
)
