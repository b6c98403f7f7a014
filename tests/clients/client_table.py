"""Writes the table of clients and scenarios into docs/CLIENTS.md.

`python -m tests.clients.client_table --write` writes it; `make clients` does so once
every client has passed. tests/clients/test_client_table.py holds it equal to the locks.
"""

import sys

from tests.clients.clients import CLIENTS, ROOT, Client

PAGE = ROOT / "docs" / "CLIENTS.md"
BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
# By scenario: what the client does, and what is checked behind its back.
SCENARIOS = {
    "chat": "one question, one answer",
    "stream": "the answer in pieces, and their join",
    "tools": "a tool is called, its result sent back, and the answer uses it",
    "structured": "an answer by a schema (pydantic, zod), parsed",
    "embeddings": "two texts become two vectors",
    "responses": "the Responses API, here on a provider that only speaks chat",
    "wrong key": "401 in the library's own error",
    "busy": "429 with `Retry-After: 1`: the library waits and asks again",
    "quota": "the day's quota is used up: 429 in the library's own error",
    "vision": "a picture in the question",
    "user": "the field `user` is in the ledger as the end user",
    "extra": "the header `x-valuecanvas-tags` is in the ledger",
    "prompt": "a stored prompt by its key, with variables",
    "cache": "the same question with a seed twice: the second is from the cache, and parses",
    "abort": "a stream is left after a few pieces, and billed for what was sent",
}


def table() -> str:
    """The table, and why a client has no such thing."""
    titles = [one.title for one in CLIENTS]
    lines = [
        "| scenario | " + " | ".join(titles) + " |",
        "| --- |" + " --- |" * len(titles),
        "| version | " + " | ".join(one.versions for one in CLIENTS) + " |",
    ]
    for name, meaning in SCENARIOS.items():
        cells = [_cell(name, one) for one in CLIENTS]
        lines.append(f"| **{name}**: {meaning} | " + " | ".join(cells) + " |")
    why = [
        f"- {one.title}, {name}: {reason}."
        for one in CLIENTS
        for name, reason in one.cannot.items()
    ]
    return "\n".join([*lines, "", "Where it says no, the library has no such thing:", "", *why])  # fmt: skip


def _cell(scenario: str, client: Client) -> str:
    if scenario in client.cannot:
        return "no"
    asks = scenario == "quota" and client.asks > 1
    return f"yes, asked {client.asks} times" if asks else "yes"


def written(page: str) -> str:
    """`page` with the table between its marks."""
    before, _begin, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text()))
    else:
        print(table())  # noqa: T201
