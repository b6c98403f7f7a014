"""Which pg_dump and pg_restore are taken, and how the server is reached."""

from pathlib import Path
from typing import Any

import dj_database_url
import pytest

from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.embedded import binaries
from valuecanvas.embedded.errors import EngineError


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    """A machine without PostgreSQL; `install` adds a version to it."""
    settings.BACKUP_PG_BIN = ""
    monkeypatch.setattr(client_programs, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    def none() -> None:
        raise EngineError("none")

    monkeypatch.setattr(binaries, "postgres", none)
    return tmp_path


def install(folder: Path, *versions: int) -> None:
    for version in versions:
        programs = folder / str(version) / "bin"
        programs.mkdir(parents=True)
        for name in ("pg_dump", "pg_restore"):
            text = f"#!/bin/sh\necho '{name} (PostgreSQL) {version}.3 (Debian 9)'\n"
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)


def version_of(path: str) -> int:
    return int(Path(path).parents[1].name)


@pytest.mark.parametrize(
    ("name", "versions", "server", "taken"),
    [
        ("pg_dump", (14, 15, 18), 150004, 15),
        ("pg_dump", (14, 16, 18), 150004, 16),
        ("pg_dump", (14, 18), 150004, 18),
        ("pg_restore", (14, 15, 18), 150004, 15),
        ("pg_restore", (16, 18), 140011, 16),
        ("pg_restore", (16, 18), 170001, 18),
        ("pg_restore", (15, 18), 180006, 18),
    ],
)
def test_find__several_versions__takes_the_closest_that_fits(
    installed: Path, name: str, versions: tuple[int, ...], server: int, taken: int
) -> None:
    install(installed, *versions)
    assert version_of(client_programs.find(name, server)) == taken


@pytest.mark.parametrize(
    ("name", "versions", "says"),
    [
        ("pg_dump", (), "There is no pg_dump here."),
        ("pg_dump", (13, 14), "is of PostgreSQL 14, older than the server's 15."),
        # It sets a parameter that the server does not know.
        ("pg_restore", (17,), "is of PostgreSQL 17, too new for the server's 15."),
        ("pg_restore", (14,), "is of PostgreSQL 14, older than the server's 15."),
    ],
)
def test_find__none_that_fits__says_what_to_install(
    installed: Path, name: str, versions: tuple[int, ...], says: str
) -> None:
    install(installed, *versions)
    with pytest.raises(BackupError) as error:
        client_programs.find(name, 150004)
    assert says in str(error.value)
    assert "Install postgresql-client-15, or set BACKUP_PG_BIN" in str(error.value)


def test_find__one_that_does_not_start__is_left_out(installed: Path) -> None:
    install(installed, 15, 16)
    (installed / "15" / "bin" / "pg_dump").write_text("#!/nowhere\n")
    assert version_of(client_programs.find("pg_dump", 150004)) == 16


def test_find__on_the_path_and_in_the_wheel__are_taken_too(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(installed / "elsewhere", 15)
    install(installed / "wheel", 18)
    path = installed / "elsewhere" / "15" / "bin" / "pg_dump"
    wheel = installed / "wheel" / "18" / "bin"
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.setattr(binaries, "postgres", lambda: binaries.Binaries(wheel))
    assert client_programs.find("pg_dump", 150004) == str(path)
    assert client_programs.find("pg_dump", 180004) == str(wheel / "pg_dump")
    (wheel / "pg_dump").unlink()
    with pytest.raises(BackupError, match="older than the server's 18"):
        client_programs.find("pg_dump", 180004)


@pytest.mark.parametrize(
    "given",
    ["postgresql://u:pa%zz@h/d", "postgresql://u:secret@h", "postgresql://", "postgres://h/?x=1"],
)  # fmt: skip
def test_server__url_of_no_use__is_said_without_its_password(
    settings: Any, given: str
) -> None:
    settings.BACKUP_DATABASE_URL = given
    with pytest.raises(BackupError, match="not a URL that names a database") as error:
        client_programs.server()
    assert given not in str(error.value)


def test_server__of_the_settings__has_what_libpq_knows_only(db: None) -> None:
    found = client_programs.server()
    assert found["dbname"].startswith("test_")
    # A lost connection is noticed.
    assert found["keepalives_idle"] == 5
    assert "cursor_factory" not in found


def test_connect__nobody_there__is_said_without_the_password() -> None:
    parameters = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p-a-s-s", "dbname": "d"}  # fmt: skip
    with (
        pytest.raises(BackupError, match="The database d: .*refused") as error,
        client_programs.connect(parameters),
    ):
        pytest.fail("There is nobody.")
    assert "p-a-s-s" not in str(error.value)
    assert "\n" not in str(error.value)


def test_connect__timeouts_of_the_role__do_not_apply(db: None) -> None:
    options = {"options": "-c statement_timeout=1000 -c idle_session_timeout=1000"}
    with client_programs.connect({**client_programs.server(), **options}) as session:
        for name in ("statement_timeout", "idle_session_timeout", "lock_timeout"):
            assert session.execute(f"SHOW {name}").fetchone() == ("0",)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dbname": "a b/c", "host": "127.0.0.1", "port": 5432, "user": "u@x", "password": "p/?#%:@ ü"},
        {"dbname": "d", "host": "/var/run/postgresql", "user": "u", "password": ""},
        {"dbname": "d", "host": "db.example", "sslmode": "verify-full", "options": "-c a=b -c c=d"},
    ],
)  # fmt: skip
def test_url__of_odd_parameters__is_read_back_the_same(
    parameters: dict[str, Any],
) -> None:
    found = dict(dj_database_url.parse(databases.url(parameters)))
    names = {"NAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}  # fmt: skip
    read = {ours: found[its] for its, ours in names.items() if found[its]}
    wanted = {name: value for name, value in parameters.items() if value}
    options: Any = found.get("OPTIONS", {})
    assert {**read, **options} == wanted


@pytest.mark.django_db(transaction=True)
def test_scratch_database__no_right_to_create__says_which() -> None:
    server = client_programs.server()
    with databases.exclusive(server) as connection:
        connection.execute("CREATE ROLE nobody_of_a_test")
        try:
            connection.execute("SET ROLE nobody_of_a_test")
            with (
                pytest.raises(BackupError, match=r"permission denied.* right CREATEDB"),
                databases.scratch_database(connection, server),
            ):
                pytest.fail("It must not be created.")
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP ROLE nobody_of_a_test")
