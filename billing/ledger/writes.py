"""The rows that one batch of the group commit writes."""

from typing import Any

from billing.ledger.types import Claimed


class Writes:
    """The rows that one batch writes, as the JSON document of sql.WRITE."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.billed: list[dict[str, Any]] = []
        # Of the counters of `scopes`; with a `reservation`, only if that ends now.
        self.moves: list[dict[str, Any]] = []
        self.claimed: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.freed: list[dict[str, Any]] = []
        self.undone: list[dict[str, str]] = []
        # Claims of this batch, which are not in the database yet.
        self.taken: dict[str, Claimed] = {}

    def document(self) -> dict[str, list[Any]]:
        return {name: rows for name, rows in vars(self).items() if name != "taken"}

    def __bool__(self) -> bool:
        return bool(self.moves or self.billed)
