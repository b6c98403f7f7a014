"""The process's flags: at the committed epoch, or the last known."""

import time
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction

from flags import config, flag_store, services
from flags.flag_store import FlagStore
from flags.metrics import AGE, LOADED
from flags.models import Flag
from tests.fixtures_billing import make_tier
from tests.flags.rows import ADA, make_colours, make_flag
from valuecanvas.core.models import Change
from valuecanvas.core.storage import disk_snapshot

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, settings):
    settings.VAR_DIR = tmp_path


def away(execute, sql, params, many, context):
    raise OperationalError("the database is away")


def test_store__nothing_changed__one_query(django_assert_num_queries):
    make_flag("a-flag")
    flags = FlagStore()
    first = flags.current()
    with django_assert_num_queries(1):
        assert flags.current().flags is first.flags


def test_store__one_flag_changed__only_that_is_loaded():
    flag, _ = make_flag("a-flag"), make_flag("other")
    flags = FlagStore()
    before = flags.current()
    services.set_percent(flag, 100, actor=ADA)
    after = flags.current()
    assert after.epoch > before.epoch
    assert after.get("a-flag").share == 10_000
    assert after.get("other") is before.get("other")


def test_store__something_else_changed__the_flags_are_kept():
    make_flag("a-flag")
    flags = FlagStore()
    before = flags.current()
    make_tier()
    after = flags.current()
    assert after.epoch > before.epoch
    assert after.flags is before.flags


def test_store__changes_forgotten__reads_everything():
    flag = make_flag("a-flag")
    flags = FlagStore()
    flags.current()
    services.set_percent(flag, 100, actor=ADA)
    Change.objects.all().delete()
    assert flags.current().get("a-flag").share == 10_000


def test_store__flag_deleted__gone():
    flag = make_flag("a-flag")
    flags = FlagStore()
    assert flags.current().get("a-flag")
    services.delete_flag(flag, actor=ADA)
    assert flags.current().get("a-flag") is None


def test_store__inside_a_transaction_rolled_back__not_kept():
    flag = make_flag("a-flag", percent=10)
    flags = FlagStore()
    flags.current()
    with transaction.atomic():
        services.set_percent(flag, 50, actor=ADA)
        assert flags.current().get("a-flag").share == 5000
        transaction.set_rollback(True)
    services.disable(flag, actor=ADA)
    found = flags.current().get("a-flag")
    assert (found.share, found.enabled) == (1000, False)


def test_store__one_request__the_same_flags_throughout(django_assert_num_queries):
    flag = make_flag("a-flag")
    flags, request = FlagStore(), SimpleNamespace()
    first = flags.for_request(request)
    services.set_percent(flag, 100, actor=ADA)
    with django_assert_num_queries(0):
        assert flags.for_request(request) is first
    assert flags.for_request(SimpleNamespace()).get("a-flag").share == 10_000
    assert flags.for_request(None).get("a-flag")


def test_store__database_away__from_memory_and_its_age_is_told(monkeypatch):
    make_flag("a-flag", percent=100)
    flags = FlagStore()
    flags.current()
    known = LOADED._value.get()
    assert abs(known - time.time()) < 60
    with connection.execute_wrapper(away):
        for _ in range(3):
            assert flags.current().get("a-flag").share == 10_000
    assert LOADED._value.get() == known
    assert AGE._value.get() >= 0
    monkeypatch.setattr(flags, "_database_down_until", 0.0)
    services.kill(Flag.objects.get(), actor=ADA)
    assert flags.current().get("a-flag").kill == ""


def test_store__away__does_not_ask_each_time(monkeypatch):
    make_flag("a-flag")
    flags = FlagStore()
    flags.current()
    asked = []
    with connection.execute_wrapper(lambda *call: asked.append(1) or away(*call)):
        for _ in range(10):
            flags.current()
    assert len(asked) == 1


def test_store__own_transaction_broken__answers_and_asks_again():
    flag = make_flag("a-flag")
    flags = FlagStore()
    flags.current()
    with transaction.atomic():
        transaction.set_rollback(True)
        assert flags.current().get("a-flag")
    services.set_percent(flag, 100, actor=ADA)
    assert flags.current().get("a-flag").share == 10_000


def test_store__cold_start_without_database__from_disk():
    flag = make_colours("a-flag", blue=5000, red=5000)
    services.edit_flag(
        flag,
        {
            "rules": [{"conditions": [{"attribute": "tier", "operator": "in", "value": ["pro"]}], "variant": "red"}],
            "user_ids": ["u"],
            "languages": "de",
        },
        actor=ADA,
    )  # fmt: skip
    make_flag("b-flag", prerequisites=[{"flag": "a-flag", "variant": "red"}])
    warm = FlagStore().current()
    cold = FlagStore()
    with connection.execute_wrapper(away):
        found = cold.current()
    assert found.flags == warm.flags
    assert found.epoch == warm.epoch
    assert LOADED._value.get() == disk_snapshot.load(name="flags").saved_at


def test_store__cold_start_with_the_gateways_newer_file__that_one():
    make_flag("a-flag")
    FlagStore().current()
    section = config.dump_flags(config.load_flags())
    disk_snapshot.save(99, {"flag": section, "prompt": {}})
    with connection.execute_wrapper(away):
        assert FlagStore().current().epoch == 99


def test_store__files_not_understood__no_flags_until_the_database_is_back(monkeypatch):
    make_flag("a-flag", percent=100)
    for row in ({}, {"pk": 1}, {"rules": 1}, []):
        disk_snapshot.save(5, {"flag": {"1": row}})
        flags = FlagStore()
        with connection.execute_wrapper(away):
            assert len(flags.current()) == 0
    monkeypatch.setattr(flags, "_database_down_until", 0.0)
    assert flags.current().get("a-flag").share == 10_000


def test_store__nothing_changed_for_long__saves_again(monkeypatch):
    make_flag("a-flag")
    flags = FlagStore()
    flags.current()
    before = disk_snapshot.load(name="flags").saved_at
    flags.current()
    assert disk_snapshot.load(name="flags").saved_at == before
    monkeypatch.setattr(flag_store, "SAVE_EVERY_S", 0.0)
    flags.current()
    assert disk_snapshot.load(name="flags").saved_at > before


def test_load_flags__many__few_queries(django_assert_num_queries):
    for number in range(5):
        make_colours(f"f{number}", blue=5000, red=5000)
    with django_assert_num_queries(7):
        assert len(config.load_flags()) == 5
    keys = [str(Flag.objects.get(name="f1").pk), "999999"]
    assert [one.name for one in config.load_flags(keys).values()] == ["f1"]
    assert config.load_flags([]) == {}
