"""Chaos in the admin: starting, watching, stopping; the banner on every page; reports."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from llm.admin.chaos import drill_page
from llm.models.chaos import ChaosRun, ChaosWindow
from llm.tasks import rehearse
from tests.admin.chaos_rows import (
    make_active_run,
    make_chaos_experiment,
    make_chaos_run,
    make_chaos_window,
)
from tests.browser.planting import PAYLOADS

pytestmark = pytest.mark.django_db
STOP_ALL = "/admin/llm/chaosrun/stop-all/"
RUNS = "/admin/llm/chaosrun/"
DRILLS = f"{RUNS}drills/"
WHY = {"reason": "A game day."}


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return str(answer.content.decode())


def run_url(run: ChaosRun) -> str:
    return reverse("admin:llm_chaosrun_change", args=[run.pk])


def start_url(experiment: Any) -> str:
    return reverse("admin:llm_chaosexperiment_start", args=[experiment.pk])


# -- starting --------------------------------------------------------------------------


def test_start__asked_for__says_who_is_met_and_the_limits(boss: Client) -> None:
    text = page(boss, start_url(make_chaos_experiment(ttl_s=300)))
    assert "Of the chat calls to any provider, 5\u00a0% get status 503 for at most 5\u00a0minutes." in text  # fmt: skip
    for limit in ("2 % failed", "10 %", "300 s", "within 15 seconds"):
        assert limit in text


def test_start__confirmed__makes_a_run_and_leads_to_it(boss: Client) -> None:
    experiment = make_chaos_experiment()
    answer = boss.post(start_url(experiment), WHY)
    run = ChaosRun.objects.get()
    assert answer["Location"] == run_url(run)
    assert (run.experiment, str(run.started_by)) == (experiment, "boss")
    assert (run.state, run.plan["fault"]) == ("checking", "error")


def test_start__same_target_again__is_refused_on_the_page(boss: Client) -> None:
    boss.post(start_url(make_chaos_experiment()), WHY)
    answer = boss.post(start_url(make_chaos_experiment()), WHY)
    assert answer.status_code == 422
    assert ChaosRun.objects.count() == 1
    assert answer.context["form"].non_field_errors()


def test_start__in_production_without_a_window__says_how_to_open_one(
    boss: Client, settings: Any
) -> None:
    settings.PRODUCTION = True
    experiment = make_chaos_experiment()
    text = page(boss, start_url(experiment))
    assert "manage.py chaos open" in text
    assert "Start it" not in text
    assert boss.post(start_url(experiment), WHY).status_code == 422
    assert not ChaosRun.objects.exists()


# -- stopping --------------------------------------------------------------------------


def test_stop_all__by_an_operator__ends_all_and_stays_on_the_page(
    operator: Client,
) -> None:
    runs = [make_active_run(), make_active_run(state="checking")]
    ended = make_chaos_run()
    answer = operator.post(STOP_ALL, {"back": "/admin/llm/model/?q=a"}, follow=True)
    assert answer.redirect_chain == [("/admin/llm/model/?q=a", 302)]
    assert "Stopped 2. Faults end within seconds: 15 at most" in answer.content.decode()
    for run in runs:
        run.refresh_from_db()
        assert (run.state, str(run.stopped_by)) == ("stopped", "olga")
    ended.refresh_from_db()
    assert ended.state == "completed"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "", "javascript:1"])  # fmt: skip
def test_stop_all__with_a_way_back_to_elsewhere__leads_to_the_dashboard(
    operator: Client, back: str
) -> None:
    make_active_run()
    assert operator.post(STOP_ALL, {"back": back})["Location"] == "/admin/"


def test_stop_all__nothing_runs__says_so(operator: Client) -> None:
    answer = operator.post(STOP_ALL, follow=True)
    assert "Nothing was running." in answer.content.decode()


def test_stop_all__get__only_leads_on(operator: Client) -> None:
    run = make_active_run()
    assert operator.get(STOP_ALL)["Location"] == "/admin/"
    run.refresh_from_db()
    assert run.state == "running"


def test_stop__of_one__leaves_the_others(operator: Client) -> None:
    run, other = make_active_run(), make_active_run()
    answer = operator.post(reverse("admin:llm_chaosrun_stop", args=[run.pk]))
    assert answer["Location"] == run_url(run)
    run.refresh_from_db()
    other.refresh_from_db()
    assert (run.state, other.state) == ("stopped", "running")


def test_stop_all__redis_is_down__works(operator: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    run = make_active_run()
    assert operator.post(STOP_ALL).status_code == 302
    run.refresh_from_db()
    assert run.state == "stopped"


def test_stop_all__by_an_auditor__is_refused(auditor: Client) -> None:
    run = make_active_run()
    assert auditor.post(STOP_ALL).status_code == 403
    run.refresh_from_db()
    assert run.state == "running"


# -- the banner ------------------------------------------------------------------------

EVERYWHERE = ("/admin/", "/admin/llm/model/", "/admin/status/", "/admin/rights/", "/admin/account/", "/admin/llm/model/nothing/change/")  # fmt: skip


@pytest.mark.parametrize("path", EVERYWHERE)
def test_banner__on_every_page__names_the_run_and_has_the_button(
    boss: Client, path: str
) -> None:
    make_active_run(name="slow-openai")
    text = boss.get(path, follow=True).content.decode()
    banner = text.partition('id="chaos-banner"')[2].partition("</section>")[0]
    for part in ("slow-openai", "running", "left", "a schedule", STOP_ALL, "csrfmiddlewaretoken"):  # fmt: skip
        assert part in banner


def test_banner__for_whoever_may_not_stop__has_no_button(
    newcomer: Client, auditor: Client
) -> None:
    run = make_active_run(name="slow-openai")
    for client, linked in ((newcomer, False), (auditor, True)):
        text = page(client, "/admin/")
        assert "slow-openai" in text
        assert STOP_ALL not in text
        assert (run_url(run) in text) is linked


def test_banner__nothing_runs__is_not_there(boss: Client) -> None:
    make_chaos_run(name="over")
    assert STOP_ALL not in page(boss, "/admin/")


@pytest.mark.parametrize(("on", "count"), [(True, 1), (False, 0)])
def test_banner__of_many_runs__costs_one_query_at_most(
    boss: Client, settings: Any, on: bool, count: int
) -> None:
    settings.CHAOS_ENABLED = on
    for _ in range(3):
        make_active_run()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page(boss, "/admin/rights/")
    found = [one["sql"] for one in queries if "llm_chaos" in one["sql"]]
    assert len(found) == count
    assert not any("samples" in sql for sql in found)


def test_banner__names_with_markup__are_escaped(boss: Client) -> None:
    make_active_run(name=PAYLOADS[-1][:60])
    assert "<x-planted" not in page(boss, "/admin/")


# -- runs ------------------------------------------------------------------------------


def test_run__active__follows_by_itself_and_can_be_stopped(operator: Client) -> None:
    run = make_active_run()
    text = page(operator, run_url(run))
    assert 'hx-trigger="every 2s"' in text
    assert reverse("admin:llm_chaosrun_stop", args=[run.pk]) in text
    assert "after 15 seconds at the latest" in text


def test_run__ended__shows_its_findings_and_charts(auditor: Client) -> None:
    run = make_chaos_run(findings=[{"expected": "No errors.", "seen": "Two.", "holds": False}], verdict="failed")  # fmt: skip
    answer = auditor.get(run_url(run))
    text = answer.content.decode()
    assert "hx-trigger" not in text.partition('id="run-refresh"')[2].partition("</div>")[0]  # fmt: skip
    for part in ("No errors.", "Two.", "Failed", "Of the chat calls", "41"):
        assert part in text
    [errors, *_] = answer.context["charts"]
    before, during, after = json.loads(errors.data)["datasets"]
    assert [before["label"], during["label"], after["label"]] == ["Before", "During", "After"]  # fmt: skip
    assert before["data"][:11] == [0.0] * 10 + [None]
    assert max(filter(None, during["data"])) > 1
    assert after["data"][-10:] == [0.0] * 10


@pytest.mark.parametrize("samples", [[], [{}], [{"at": None, "phase": "odd"}], [{"at": "x", "phase": "during", "requests": 0}]])  # fmt: skip
def test_run__odd_samples__are_shown_all_the_same(boss: Client, samples: Any) -> None:
    run = make_chaos_run(samples=samples, findings=[], plan={})
    page(boss, run_url(run))
    for kind in ("json", "md", "csv"):
        url = reverse("admin:llm_chaosrun_report", args=[run.pk, kind])
        assert boss.get(url).status_code == 200


def test_runs__list__has_states_and_verdicts(auditor: Client) -> None:
    make_chaos_run(name="calm", is_drill=True)
    text = page(auditor, RUNS)
    for part in ("calm", "Drill", "Completed", "Passed"):
        assert part in text


@pytest.mark.parametrize("url", [RUNS, "/admin/llm/chaosexperiment/", "/admin/llm/chaoswindow/"])  # fmt: skip
def test_lists__without_rows__say_what_to_do(boss: Client, url: str) -> None:
    text = page(boss, url)
    assert any(one in text for one in ("leaves its report", "makes a few calls", "inside a window"))  # fmt: skip


def test_windows__of_all_times__are_told_apart(auditor: Client) -> None:
    now = timezone.now()
    make_chaos_window(begins_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2))  # fmt: skip
    make_chaos_window(ends_at=now)
    make_chaos_window(signature="made up")
    text = page(auditor, "/admin/llm/chaoswindow/")
    for part in ("Coming", "Over", "Not signed by us"):
        assert part in text
    assert "Open<" not in text
    window = ChaosWindow.objects.first()
    assert window is not None
    url = reverse("admin:llm_chaoswindow_change", args=[window.pk])
    assert auditor.post(url, {"reason": "mine"}).status_code == 403


# -- reports ---------------------------------------------------------------------------


def report(client: Client, run: ChaosRun, kind: str) -> str:
    answer = client.get(reverse("admin:llm_chaosrun_report", args=[run.pk, kind]))
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    return str(answer.content.decode())


def test_report__as_json__has_all_of_the_run(auditor: Client) -> None:
    run = make_chaos_run()
    found = json.loads(report(auditor, run, "json"))
    assert found["id"] == str(run.pk)
    assert (found["injected"], found["verdict"]) == (41, "passed")
    assert found["samples"] == run.samples
    assert found["findings"] == run.findings


def test_report__as_markdown__keeps_its_tables_whole(auditor: Client) -> None:
    finding = {"expected": "a | b\nc", "seen": "<img src=x>", "holds": False}
    text = report(auditor, make_chaos_run(findings=[finding]), "md")
    assert "| a \\| b c | &lt;img src=x> | **FAILED** |" in text
    assert "| during | 110 |" in text


def test_report__as_csv__has_a_row_for_each_sample(auditor: Client) -> None:
    run = make_chaos_run(samples=[{"at": "=1+1", "phase": "during", "requests": 3}])
    header, row = report(auditor, run, "csv").splitlines()
    assert header.startswith("at,phase,requests")
    assert row == "'=1+1,during,3,,,,"


def test_report__of_an_unknown_kind__is_missing(auditor: Client) -> None:
    url = reverse("admin:llm_chaosrun_report", args=[make_chaos_run().pk, "pdf"])
    assert auditor.get(url).status_code == 404


# -- drills ----------------------------------------------------------------------------


def test_drills__list__says_what_each_does_and_its_last_verdict(
    boss: Client, auditor: Client
) -> None:
    make_chaos_run(name="redis-down", is_drill=True, verdict="failed")
    for client, runs in ((boss, True), (auditor, False)):
        text = page(client, DRILLS)
        assert "failed" in text
        assert "never" in text
        assert ("Run…" in text) is runs


def test_drill__that_cannot_be_run_here__says_why(boss: Client, settings: Any) -> None:
    settings.DRILL_URL = "http://127.0.0.1:1"
    url = f"{DRILLS}redis-down/"
    assert "What has to hold" in page(boss, url)
    answer = boss.post(url)
    assert answer.status_code == 422
    assert "No gateway is ready" in answer.context["form"].non_field_errors()[0]


def test_drill__confirmed__is_begun_by_a_worker(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(drill_page, "prepare_drill", lambda name, by: None)
    monkeypatch.setattr(rehearse, "delay", lambda *given: sent.append(given))
    assert boss.post(f"{DRILLS}redis-down/")["Location"] == DRILLS
    assert sent == [("redis-down", "boss")]


def test_drill__broker_is_down__says_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: str) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(drill_page, "prepare_drill", lambda name, by: None)
    monkeypatch.setattr(rehearse, "delay", fail)
    answer = boss.post(f"{DRILLS}redis-down/")
    assert answer.status_code == 422
    assert "Connection refused" in answer.context["form"].non_field_errors()[0]


def test_drill__unknown__is_missing(boss: Client) -> None:
    assert boss.get(f"{DRILLS}nothing/").status_code == 404


# -- REST ------------------------------------------------------------------------------


def test_rest__runs__newest_first_and_by_their_state(auditor: Client) -> None:
    old, active = make_chaos_run(), make_active_run()
    found = auditor.get("/api/chaos/runs").json()
    assert [one["id"] for one in found["data"]] == [str(active.pk), str(old.pk)]
    assert "samples" not in found["data"][0]
    for query, run in (("active=true", active), ("state=completed", old)):
        [one] = auditor.get(f"/api/chaos/runs?{query}").json()["data"]
        assert one["id"] == str(run.pk)
    assert auditor.get("/api/chaos/runs?state=odd").status_code == 400


def test_rest__one_run__has_samples_and_findings(auditor: Client) -> None:
    run = make_chaos_run(is_drill=True)
    found = auditor.get(f"/api/chaos/runs/{run.pk}").json()
    assert (found["kind"], found["started_by"]) == ("drill", "")
    assert found["samples"][0]["phase"] == "before"
    assert found["findings"] == run.findings
    assert found["plan"] == run.plan


@pytest.mark.parametrize("run_id", ["1", "00000000-0000-0000-0000-000000000000", "%00"])
def test_rest__run_that_is_not_there__is_a_404_with_its_code(
    auditor: Client, run_id: str
) -> None:
    answer = auditor.get(f"/api/chaos/runs/{run_id}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "run_not_found"
