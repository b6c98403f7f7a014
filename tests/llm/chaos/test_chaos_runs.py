"""Who may start which run, and what ends it."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from llm.chaos import chaos_runs
from llm.chaos.chaos_runs import RunRefused
from llm.chaos.plan import FaultPlan
from llm.models import ChaosRun
from llm.models.chaos import RunState
from tests.fixtures_billing import make_route, unique
from tests.llm.chaos.rows import make_experiment, make_requests, make_superuser
from valuecanvas.core.audit.audit_context import use_actor
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def chaos(settings: Any, tmp_path: Path) -> None:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")


def test_start__of_a_superuser__waits_for_its_check():
    root = make_superuser()
    experiment = make_experiment()
    with use_actor("ada", "person"):
        run = chaos_runs.start(experiment, by=root, reason="Game day")
    assert (run.state, run.started_by, run.name) == ("checking", root, experiment.name)
    assert run.ends_at - run.started_at == dt.timedelta(seconds=60)
    assert run.plan["fault"] == "error"
    assert run.limits["most_error_percent"] == "5"
    entry = AuditEntry.objects.get(kind="llm.chaosrun", object_id=str(run.pk))
    assert (entry.actor, entry.reason) == ("ada", "Game day")


def person(kind: str) -> Any:
    if kind == "nobody":
        return None
    if kind == "anonymous":
        return AnonymousUser()
    return User.objects.create_user(
        unique("person"),
        is_staff=True,
        is_superuser=kind == "former",
        is_active=kind != "former",
    )


@pytest.mark.parametrize("kind", ["nobody", "anonymous", "staff", "former"])
def test_start__of_anybody_else__is_refused(kind):
    by = person(kind)
    with pytest.raises(RunRefused, match="superuser"):
        chaos_runs.start(make_experiment(), by=by)
    with pytest.raises(RunRefused, match="superuser"):
        chaos_runs.start_plan("a", FaultPlan("error"), by=by, ttl_s=60, is_drill=True)
    assert not ChaosRun.objects.exists()


WRONG = (
    ({"parameters": {"status": 200}}, "status"),
    ({"parameters": {"speed": 1}}, "speed"),
    ({"fault": "flood"}, "fault"),
    ({"percent": Decimal(0)}, "percent"),
    ({"percent": Decimal(101)}, "percent"),
    ({"blast_percent": Decimal(0)}, "blast_percent"),
    ({"most_error_percent": Decimal(100)}, "most_error_percent"),
    ({"ttl_s": 901}, "CHAOS_MOST_TTL_S"),
    ({"ttl_s": 1}, "ttl_s"),
    ({"providers": ["nobody"]}, "providers"),
    ({"model_names": ["none"]}, "model_names"),
    ({"endpoints": ["images"]}, "endpoints"),
    ({"conditions": [{"attribute": "tier"}]}, "conditions"),
    (
        {"conditions": [{"attribute": "city", "operator": "equals", "value": "Oslo"}]},
        "'city' cannot be measured",
    ),
    ({"percent": Decimal(11)}, "about 11% of all requests"),
)


@pytest.mark.parametrize(("fields", "named"), WRONG, ids=[one for _, one in WRONG])
def test_start__of_a_wrong_experiment__names_field_and_remedy(fields, named):
    experiment = make_experiment(**fields)
    with pytest.raises(RunRefused) as refused:
        chaos_runs.start(experiment, by=make_superuser())
    message = str(refused.value)
    assert named in message
    assert message.endswith(".")
    assert not ChaosRun.objects.exists()


def test_start__with_chaos_off__is_refused(settings):
    settings.CHAOS_ENABLED = False
    with pytest.raises(RunRefused, match="CHAOS_ENABLED"):
        chaos_runs.start(make_experiment(), by=make_superuser())


def test_start__with_the_stop_file__is_refused(settings):
    Path(settings.CHAOS_STOP_FILE).touch()
    with pytest.raises(RunRefused, match="chaos.stop"):
        chaos_runs.start(make_experiment(), by=make_superuser())


def test_start__in_production__wants_a_window(settings):
    settings.PRODUCTION = True
    with pytest.raises(RunRefused, match="manage.py chaos open"):
        chaos_runs.start(make_experiment(), by=make_superuser())


def test_start__of_a_fifth_of_the_requests__meets_a_fifth_of_its_percent():
    route = make_route()
    experiment = make_experiment(route, percent=Decimal(40))
    root = make_superuser()
    make_requests(4, model=route.model_id)
    with pytest.raises(RunRefused, match="about 40%"):
        chaos_runs.start(experiment, by=root)
    make_requests(16, model="another")
    assert chaos_runs.start(experiment, by=root).state == RunState.CHECKING


OVERLAPS: tuple[tuple[dict[str, Any], dict[str, Any], bool], ...] = (
    ({}, {"providers": ["a"]}, True),
    ({"providers": ["a"]}, {"providers": ["b"]}, False),
    ({"providers": ["a", "b"]}, {"providers": ["b"]}, True),
    ({"providers": ["a"], "endpoints": ["chat"]}, {"providers": ["a"], "endpoints": ["embeddings"]}, False),
    ({"providers": ["a"], "model_names": ["m"]}, {"providers": ["a"], "model_names": ["n"]}, False),
    ({"providers": ["a"], "conditions": ({"attribute": "team", "operator": "equals", "value": "x"},)}, {"providers": ["a"]}, True),
)  # fmt: skip


@pytest.mark.parametrize(("first", "second", "refused"), OVERLAPS)
def test_start__on_a_target__goes_by_what_it_has_in_common(first, second, refused):
    root = make_superuser()

    def begin(target: dict[str, Any]) -> ChaosRun:
        sets = {k: v if k == "conditions" else frozenset(v) for k, v in target.items()}
        plan = FaultPlan("error", percent=1, **sets)
        return chaos_runs.start_plan("a-drill", plan, by=root, ttl_s=60, is_drill=True)

    run = begin(first)
    if not refused:
        assert begin(second).state == RunState.RUNNING
        return
    with pytest.raises(RunRefused, match="'a-drill' has been running"):
        begin(second)
    assert chaos_runs.stop(run, by=root, reason="enough")
    assert begin(second).state == RunState.RUNNING


def test_stop__of_a_run__ends_its_faults_at_once():
    root = make_superuser()
    run = chaos_runs.start(make_experiment(), by=root)
    assert chaos_runs.stop(run, by=root, reason="Enough seen")
    run.refresh_from_db()
    now = timezone.now()
    assert (run.state, run.stopped_by, run.reason) == ("stopped", root, "Enough seen")
    assert run.ends_at <= now
    assert run.lease_until <= now
    assert run.ended_at
    assert not chaos_runs.stop(run, by=root, reason="again")
    assert not chaos_runs.renew(run.pk)


def test_stop_all__of_two_runs__ends_both():
    root = make_superuser()
    for _ in range(2):
        chaos_runs.start(make_experiment(), by=root)
    assert len(chaos_runs.active()) == 2
    assert chaos_runs.stop_all(by=None, reason="A real incident") == 2
    assert chaos_runs.active() == []
    assert chaos_runs.stop_all(by=None, reason="A real incident") == 0


def test_purge__of_old_runs__keeps_young_ones():
    root = make_superuser()
    old, young = (chaos_runs.start(make_experiment(), by=root) for _ in range(2))
    chaos_runs.stop_all(by=root, reason="x")
    ChaosRun.objects.filter(pk=old.pk).update(
        started_at=timezone.now() - dt.timedelta(days=91)
    )
    assert chaos_runs.purge() == 1
    assert list(ChaosRun.objects.all()) == [young]
