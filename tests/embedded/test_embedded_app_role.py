"""S1, S26: the product's role in the embedded PostgreSQL owns its database, and no more."""

import psycopg
import pytest

from tests.embedded.conftest import Home
from valuecanvas.embedded.app_role import APP_ROLE, ensure_app_role

# What an earlier version made, as the cluster's superuser.
OLD = """
CREATE TABLE plain (id bigserial PRIMARY KEY, at date);
CREATE TABLE parted (id bigint GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE VIEW seen AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM plain;
CREATE SEQUENCE "Odd name";
CREATE FUNCTION guard(a integer, b text) RETURNS integer AS 'SELECT 1' LANGUAGE sql;
INSERT INTO plain (at) VALUES ('2026-01-01');
"""
# What a superuser may.
REFUSED = (
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('PG_VERSION')",
    "SET session_replication_role = replica",
    "CREATE ROLE other SUPERUSER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE valuecanvas",
)
OWNERS = """
SELECT relname, relowner::regrole::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname, proowner::regrole::text FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
"""


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(statement)
        return found.fetchall() if found.description else []


def test_app_role__cluster_of_an_earlier_version__owns_all_and_is_no_superuser(
    home: Home,
) -> None:
    superuser = home.start(durable=False).url
    ask(superuser, OLD)
    state = home.folder / "engine.json"
    url = ensure_app_role(superuser, state)

    owners: dict[object, object] = dict(ask(url, OWNERS))
    assert {"plain", "parted", "parted_1", "seen", "kept", "Odd name", "guard"} <= set(owners)  # fmt: skip
    assert set(owners.values()) == {APP_ROLE}
    ask(url, "ALTER TABLE parted ADD COLUMN more text; INSERT INTO plain DEFAULT VALUES; SET log_min_error_statement = panic")  # fmt: skip
    assert ask(url, "SELECT count(*), current_user FROM plain") == [(2, APP_ROLE)]
    assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]  # fmt: skip
    # Once more, as at the next start: the same URL, and what came since is its own.
    assert ensure_app_role(superuser, state) == url

    for refused in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, refused)
