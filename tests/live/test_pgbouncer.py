"""The gateway through PgBouncer: what works, and what is refused."""

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from billing.ledger.connection import TransactionPooling, check_pooling, connect
from tests.live.pooler import needs_pgbouncer, pgbouncer
from tests.live.server import live_server
from tests.live.shared import offered, said
from tests.live.wire import OpenStream
from tests.live.world import World, unique

pytestmark = [pytest.mark.live, needs_pgbouncer]


def test_gateway__in_session_mode__serves_and_bills_and_sees_changes(
    world: World, server_env: dict[str, str], tmp_path: Path
) -> None:
    with pgbouncer(tmp_path, "session") as url:
        env = {**server_env, "DATABASE_URL": url, "REDIS_PREFIX": unique("pooled")}
        with live_server(tmp_path, env) as server, offered(world) as offer:
            world.port = server.port
            answer = offer.ask()
            assert said(answer)
            assert world.usage(answer.headers["x-request-id"]).cost_usd > 0
            served = world.serve("drip@5ms:10")
            with OpenStream(world, served.model) as stream:
                stream.event_with(b"[DONE]")
            # A page has a connection of its own, with its timeout.
            assert world.request("/admin/login/", key="").status == 200
            # The new customer is seen through the epoch.
            _, key = world.new_customer(daily_requests=1)
            assert [offer.ask(key=key).status for _ in range(2)] == [200, 429]
        assert world.reserved() == 0
        assert "Traceback" not in server.log


def test_gateway__in_transaction_mode__does_not_start_and_says_why(
    world: World, server_env: dict[str, str], tmp_path: Path
) -> None:
    env = {**server_env, "REDIS_PREFIX": unique("pooled")}
    with (
        pgbouncer(tmp_path, "transaction") as url,
        pytest.raises(RuntimeError, match="set pool_mode = session in PgBouncer"),
        live_server(tmp_path, {**env, "DATABASE_URL": url}),
    ):
        pass


def lead(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """From now on Django's settings name the server of `url`."""
    parts = urlsplit(url)
    monkeypatch.setitem(connection.settings_dict, "HOST", parts.hostname)
    monkeypatch.setitem(connection.settings_dict, "PORT", parts.port)


def test_ledger__in_session_mode__keeps_its_limits(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer(tmp_path, "session") as url:
        lead(monkeypatch, url)
        check_pooling()
        with connect() as ledger:
            assert ledger.execute("SHOW statement_timeout").fetchone() == ("2s",)
            assert ledger.execute("SHOW lock_timeout").fetchone() == ("1s",)
            assert ledger.execute("SHOW timezone").fetchone() == ("UTC",)


def test_ledger__in_transaction_mode__is_refused(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pgbouncer(tmp_path, "transaction") as url:
        lead(monkeypatch, url)
        with pytest.raises(TransactionPooling):
            check_pooling()
    # Nobody is there any more: whether it pools is not known.
    check_pooling()
    with pytest.raises(psycopg.OperationalError):
        connect()
