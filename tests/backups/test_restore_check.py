"""The checks of a restored copy: each passes, and each can fail."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from billing.ledger import Ledger
from billing.models import Reservation, Usage
from llm.gateway import gateway_thread
from llm.metering import tokenizer
from tests.admin.rows import make_counter
from tests.fixtures_billing import make_budget, make_provider, unique
from tests.fixtures_ledger import Desk, make_settle
from valuecanvas import restore_check
from valuecanvas.backups.errors import BackupError
from valuecanvas.core.db.db_thread import DbThread

pytestmark = pytest.mark.django_db(transaction=True)


async def test_ledger__that_adds_up__is_counted(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    admitted: Any = await ledger.put(desk.admit())
    await ledger.put(make_settle(admitted, cost=5))
    await ledger.put(desk.admit())
    # A copy is checked long after what was under way in it.
    past = timezone.now() - timedelta(days=1)
    await db_thread.run(lambda: Reservation.objects.update(lease_until=past))
    detail = await db_thread.run(restore_check.check_ledger)
    assert detail.endswith(" rows, no drift")
    assert not detail.startswith("0 ")


def test_ledger__drifts__is_said_by_its_title() -> None:
    make_counter("g", "", timezone.now().date(), spent=5)
    with pytest.raises(BackupError, match="does not add up: Money spent"):
        restore_check.check_ledger()


def test_secrets__another_key__names_the_provider(settings: Any) -> None:
    assert restore_check.check_secrets() == "stored provider keys decrypted: 0"
    make_provider(api_key="sk-one")
    provider = make_provider("z-last", api_key="sk-two")
    make_provider()
    assert restore_check.check_secrets() == "stored provider keys decrypted: 2"
    provider.api_key_sealed = bytes(40)
    provider.save()
    with pytest.raises(BackupError, match="of the provider z-last cannot be decrypted"):
        restore_check.check_secrets()
    settings.FIELD_KEY = base64.b64encode(os.urandom(32)).decode()
    with pytest.raises(BackupError, match="cannot be decrypted with FIELD_KEY"):
        restore_check.check_secrets()


@pytest.fixture
def gateway(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What a process of its own would have; it ends with the test."""
    settings.REDIS_PREFIX = unique("restored")
    settings.JOURNAL_DIR = tmp_path / "journal"
    settings.VAR_DIR = tmp_path / "var"
    settings.LLM_ALLOW_HTTP_PROVIDERS = True
    settings.LLM_ADMIT_TIMEOUT_S = 60.0
    monkeypatch.setattr(tokenizer, "WITHIN_S", 60.0)
    yield
    gateway_thread().close()


def test_request__budget_used_up__is_served_and_billed(gateway: None) -> None:
    make_budget(limit="0")
    assert restore_check.check_request().startswith("answered by the demo provider")
    assert Usage.objects.get().cost_usd > 0


def test_request__refused__says_why(gateway: None, settings: Any) -> None:
    settings.LLM_ALLOW_HTTP_PROVIDERS = False
    with pytest.raises(BackupError, match="A request was refused: "):
        restore_check.check_request()


def test_request__answered_and_not_billed__fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = SimpleNamespace(content="Yes.")
    nobody = nullcontext("http://127.0.0.1:9/v1")
    monkeypatch.setattr(restore_check, "_demo_provider", lambda: nobody)
    monkeypatch.setattr(restore_check, "complete_sync", lambda **given: answer)
    with pytest.raises(BackupError, match="there is no bill of it"):
        restore_check.check_request()


def test_request__demo_provider_does_not_start__is_said(
    settings: Any, tmp_path: Path
) -> None:
    settings.BASE_DIR = tmp_path
    with pytest.raises(BackupError, match="The demo provider did not start"):
        restore_check.check_request()


def test_command__any_other_database__is_refused() -> None:
    with pytest.raises(CommandError, match="This is not a restored copy"):
        call_command("check_restored")
    assert not Usage.objects.exists()


def test_command__a_check_fails__is_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    provider = make_provider("bad", api_key="sk-one")
    provider.api_key_sealed = bytes(40)
    provider.save()
    # The connection is open already: it stays with the test's database.
    monkeypatch.setitem(connection.settings_dict, "NAME", "x_restored_y")
    call_command("check_restored")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["name"], one["ok"]) for one in lines] == [
        ("Add up the ledger", True),
        ("Decrypt stored keys", False),
    ]
    assert "provider bad cannot be decrypted" in lines[1]["detail"]
