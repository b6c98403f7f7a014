"""I1-I8 after a case: the books, the send log, the client's rows, the processes."""

import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import orjson

from billing.models import Reservation, Usage
from tests.demo_process import Attempt
from tests.faults.traffic import Row
from tests.faults.web import Web
from tests.invariants import assert_books_balance, rows
from valuecanvas.core import money

PATIENCE_S = 60.0

TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname
"""


def eventually(look: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait until `look` finds nothing any more; what it still finds is the failure."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not found, found


def assert_all_ended() -> None:
    """I1, I2: every reservation has ended, and the counters are what they count."""
    eventually(lambda: list(Reservation.objects.values_list("pk", "facts")))
    assert_books_balance()


def assert_billed_once(answered: Iterable[Row]) -> None:
    """I1: each request whose answer began has exactly one ledger row."""
    ids = {UUID(row.request_id) for row in answered if row.status == 200}
    eventually(lambda: ids - set(Usage.objects.values_list("pk", flat=True)))


def delivered(request_id: str, attempts: Sequence[Attempt]) -> Attempt | None:
    """The last upstream attempt of a request: the one that it was billed for."""
    own = [one for one in attempts if one.attempt.rpartition(".")[0] == request_id]
    return max(own, key=lambda one: int(one.attempt.rpartition(".")[2]), default=None)


def assert_send_log_agrees(answered: Sequence[Row], attempts: Sequence[Attempt]) -> int:
    """I3: what was billed against what the provider wrote; how many were compared.

    Complete answers: the same number. Cut ones: delivered <= billed <= written.
    """
    by_request: dict[str, list[Attempt]] = {}
    for one in attempts:
        by_request.setdefault(one.attempt.rpartition(".")[0], []).append(one)
    usage = {str(row.pk): row for row in Usage.objects.filter(cached=False)}
    compared = 0
    for row in answered:
        billed = usage.get(row.request_id)
        attempt = delivered(row.request_id, by_request.get(row.request_id, ()))
        if row.status != 200 or billed is None or attempt is None:
            continue
        compared += 1
        story = (row.request_id, row.tokens, billed.completion_tokens, attempt.tokens)
        if billed.status == "ok" and billed.source != "journal":
            assert billed.completion_tokens == attempt.tokens, story
        else:
            assert row.tokens <= billed.completion_tokens <= attempt.tokens, story
    return compared


def assert_costs_are_the_send_log_s(
    attempts: Sequence[Attempt], prices: tuple[int, int]
) -> int:
    """I3: the sum billed for completed calls, to the micro-dollar; how many they were.

    `prices` are micro-dollars per million tokens, input and output.
    """
    done = {
        one.attempt.rpartition(".")[0]: one for one in attempts if one.outcome == "done"
    }
    # Of one that a journal tells of, the provider's count died with its process.
    complete = Usage.objects.filter(status="ok", cached=False).exclude(source="journal")
    compared = 0
    for row in complete:
        one = done.get(str(row.pk))
        if one is None or one.usage is None:
            continue
        scaled = money.cost(one.prompt_tokens, prices[0])
        scaled += money.cost(one.tokens, prices[1])
        assert money.to_micros(row.cost_usd) == money.round_cost(scaled), row.pk
        compared += 1
    return compared


def assert_nothing_lost(attempts: Sequence[Attempt]) -> None:
    """I3: whatever a provider wrote for us has one row, and is not over-billed.

    For requests whose client never heard of them too.
    """
    usage = {str(row.pk): row for row in Usage.objects.filter(cached=False)}
    by_request: dict[str, int] = {}
    for one in attempts:
        name = one.attempt.rpartition(".")[0]
        by_request[name] = by_request.get(name, 0) + one.tokens
    lost = [name for name, tokens in by_request.items() if tokens and name not in usage]
    assert lost == []
    for name, tokens in by_request.items():
        if name in usage:
            assert usage[name].completion_tokens <= tokens, name


def assert_errors_are_ours(seen: Iterable[Row]) -> None:
    """I6: every error is our envelope with the request's id; no HTML, no traceback."""
    for row in seen:
        if row.error is not None:
            assert {"message", "type", "param", "code"} <= row.error.keys(), row.error
            assert row.error.get("request_id") == row.request_id, row
        if row.status >= 400:
            assert row.headers["content-type"] == "application/json"
            assert isinstance(orjson.loads(row.body)["error"]["message"], str)


def assert_no_crash(processes: Iterable[Web]) -> None:
    """I6: nothing that nobody foresaw is in the logs."""
    for web in processes:
        assert web.crashes == [], web.log[-4000:]


def assert_not_seen(canary: str, processes: Iterable[Web]) -> None:
    """I7: the canary of a prompt is in no log and in no table."""
    for web in processes:
        assert canary not in web.log
    for (table,) in rows(TABLES):
        # The name comes from the catalogue.
        statement = f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s'  # noqa: S608
        assert rows(statement, f"%{canary}%") == [(0,)], table
