"""docs/CLIENTS.md says which clients are tried, and in which versions."""

from pathlib import Path

from tests.clients.client_table import PAGE, SCENARIOS, written
from tests.clients.clients import CLIENTS
from tests.live.test_clients import RIGHT


def test_page__its_table__is_that_of_the_locks() -> None:
    page = PAGE.read_text()
    assert page == written(page), "Run `make clients`, and commit docs/CLIENTS.md."


def test_page__every_client__has_a_setup_with_the_base_url() -> None:
    sections = PAGE.read_text().split("\n## ")
    for client in CLIENTS:
        [section] = [one for one in sections if one.startswith(f"{client.title}\n")]
        assert "http://127.0.0.1:8000/v1" in section, client.title


def test_scenarios__of_table_and_matrix__are_the_same() -> None:
    assert [*SCENARIOS] == [*RIGHT]
    for client in CLIENTS:
        assert set(client.cannot) <= set(SCENARIOS)


def test_lock__of_npm__names_no_registry() -> None:
    text = (Path(__file__).parent / "package-lock.json").read_text()
    assert '"resolved"' not in text
