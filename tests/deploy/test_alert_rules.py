"""The rules of Prometheus: their names exist, and each fires when it should and only then."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.promql import RULES_PATH, find_unknown, rules
from tests.deploy.tools import DEPLOY, ROOT, find_program

ALERTS = {one["alert"]: one for one in rules() if "alert" in one}
RUNBOOKS = (ROOT / "docs/RUNBOOKS.md").read_text()
# A step is 15 s, and 10 requests a second are served.
HEALTHY = {
    "valuecanvas_job_workers": "2x2000",
    'valuecanvas_redis_up{job="valuecanvas"}': "1x2000",
    "valuecanvas_backup_age_seconds": "3600x2000",
    'valuecanvas_requests_total{job="valuecanvas",model="m",status="ok"}': "0+150x2000",
    'valuecanvas_request_seconds_count{job="valuecanvas"}': "0+150x2000",
    'valuecanvas_request_seconds_bucket{job="valuecanvas",le="10.0"}': "0+150x2000",
    'up{job="valuecanvas"}': "1x2000",
}
OK, COUNT, BUCKET = [name for name in HEALTHY if "request" in name]
ERRORS = (
    'valuecanvas_requests_total{job="valuecanvas",model="m",provider="",status="error"}'
)
COST = 'valuecanvas_cost_micro_usd_total{model="m"}'
DISK = 'node_filesystem_avail_bytes{job="node",fstype="ext4",mountpoint="/"}'
SIZE = 'node_filesystem_size_bytes{job="node",fstype="ext4",mountpoint="/"}'
NO_TRAFFIC = dict.fromkeys(HEALTHY.keys() - {"valuecanvas_backup_age_seconds"}, "")
BURN = ("ErrorsFast", "ErrorsSteady", "ErrorsSlow")
SLOW = ("LatencyFast", "LatencySteady", "LatencySlow")

Case = tuple[str, dict[str, str], dict[str, tuple[str, ...]]]
# (what happens, the series that are not as HEALTHY, the alerts that fire at a time)
CASES: list[Case] = [
    ("all is well", {}, {"10m": ()}),
    ("all is well for long", {}, {"3h": ()}),
    ("nobody calls", {OK: "0x200", BUCKET: "0x200", COUNT: "0x200"}, {"10m": ()}),
    (
        "one of two requests fails",
        {OK: "0 1x200", ERRORS: "0x20 1x200"},
        {"6m": ()}),
    ("a few errors among many requests", {ERRORS: "0x20 5x200"}, {"6m": ()}),
    (
        "an outage after an hour of heavy traffic",
        {OK: "0+9000x240 2160000x100", ERRORS: "0x240 0+9000x100"},
        {"60m45s": (), "62m": ("Outage", "ErrorsSlow")},
    ),
    (
        "all are refused since the ledger is down",
        {
            OK: "0+150x40 6000x100",
            'valuecanvas_refused_total{job="valuecanvas",code="ledger_unavailable"}': "0x40 0+150x100",
        },
        {"12m": ("Outage", *BURN)}),
    (
        "callers make mistakes",
        {ERRORS.replace("error", "invalid"): "0+150x100", OK: "0+1x100"},
        {"10m": ()}),
    (
        "callers are refused",
        {'valuecanvas_refused_total{job="valuecanvas",code="insufficient_quota"}': "0+900x100"},
        {"10m": ()}),
    ("10% fail", {ERRORS: "0+17x100"}, {"20m": BURN}),
    ("4% fail", {ERRORS: "0+6x2000"}, {"2h": BURN[1:]}),
    ("1% fail", {ERRORS: "0+1.5x2000"}, {"2h": BURN[2:]}),
    ("20% are slow", {BUCKET: "0+120x100"}, {"20m": SLOW}),
    ("8% are slow", {BUCKET: "0+138x2000"}, {"2h": SLOW[1:]}),
    ("2% are slow", {BUCKET: "0+147x2000"}, {"2h": SLOW[2:]}),
    (
        "a model has no provider among others that work",
        {ERRORS.replace('"m"', '"other"'): "0+0.6x100"},
        {"10m": ("NoProvider",)}),
    ("a request costs a cent", {COST: "0+1500000x200"}, {"40m": ("CostAboveTarget",)}),
    ("a dear request", {COST: "0+1000x200", OK: "0 1x200"}, {"40m": ()}),
    (
        "nothing is scraped",
        {name: f"{values.split('x')[0]}x20 stale" for name, values in HEALTHY.items()}
        | {"valuecanvas_backup_age_seconds": "3600x2000"},
        {"6m30s": ("Down",)}),
    ("a process is gone", {'up{job="valuecanvas",instance="b"}': "0x99"}, {"6m": ("TargetDown",)}),
    (
        "jobs of a worker fail",
        {ERRORS.replace('"valuecanvas"', '"valuecanvas-worker"'): "0+150x100"},
        {"10m": ()},
    ),
    ("a breaker is open", {"valuecanvas_breaker_state": "2x99"}, {"6m": ("BreakerOpen",)}),
    ("a breaker is half-open", {"valuecanvas_breaker_state": "1x99"}, {"6m": ()}),
    ("Redis is down", {'valuecanvas_redis_up{job="valuecanvas"}': "0x99"}, {"3m": ("RedisPassedBy",)}),
    ("the configuration is old", {'valuecanvas_config_age_seconds{job="valuecanvas"}': "580+15x99"}, {"5m": ("ConfigStale",)}),
    ("no requests for 5 minutes", {'valuecanvas_config_age_seconds{job="valuecanvas"}': "303x99"}, {"5m": ()}),
    ("a settlement is given up", {"valuecanvas_batch_given_up_total": "0x20 1x99"}, {"10m": ("SettlementLost",)}),
    ("refusals are dropped", {"valuecanvas_refusals_dropped_total": "0x20 9x99"}, {"10m": ("RefusalsDropped",)}),
    ("a disk is rather full", {DISK: "10x99", SIZE: "100x99"}, {"11m": ("DiskLow",)}),
    ("a disk is full", {DISK: "4x99", SIZE: "100x99"}, {"5m": ("DiskFull",)}),
    ("no worker", {"valuecanvas_job_workers": "0x99"}, {"6m": ("NoWorker",)}),
    ("an old job", {"valuecanvas_jobs_oldest_seconds": "400x99"}, {"6m": ("QueueOld",)}),
    ("a dead letter", {"valuecanvas_jobs_dead": "1x99"}, {"6m": ("DeadLetters",)}),
    ("webhooks wait", {"valuecanvas_webhooks_late_seconds": "400x99"}, {"6m": ("WebhooksLate",)}),
    ("an old backup", {"valuecanvas_backup_age_seconds": "97000x99"}, {"11m": ("BackupOverdue",)}),
    (
        "never a backup",
        {**NO_TRAFFIC, 'up{job="valuecanvas"}': "1x7000", "valuecanvas_backup_age_seconds": ""},
        {"26h1m": ("BackupMissing",)}),
    ("a failed backup", {"valuecanvas_backup_failed": "1x99"}, {"1m": ("BackupFailed",)}),
    ("drift", {'valuecanvas_ledger_drift{invariant="I1"}': "2x99"}, {"1m": ("LedgerDrift",)}),
    ("an unchecked ledger", {"valuecanvas_ledger_checked_timestamp_seconds": "0x2000"}, {"3h11m": ("LedgerUnchecked",)}),
    ("no price", {'valuecanvas_alerts_firing{kind="unpriced_model"}': "1x99"}, {"1m": ("Unpriced",)}),
]  # fmt: skip


def promtool(*arguments: str, program: str = "promtool") -> str:
    """What promtool finds wrong; skips the test where there is none."""
    done = subprocess.run(
        [find_program(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


def unit_tests(cases: list[Case], interval: str) -> dict[str, Any]:
    """A file for `promtool test rules`."""
    return {
        "rule_files": [str(RULES_PATH)],
        "evaluation_interval": interval,
        "tests": [unit_test(case) for case in cases],
    }


def unit_test(case: Case) -> dict[str, Any]:
    """A case as `promtool test rules` reads it."""
    name, changes, firing = case
    given = {key: value for key, value in (HEALTHY | changes).items() if value}
    questions = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": time,
            "exp_samples": [
                {"labels": f'{{alertname="ValueCanvas{alert}"}}', "value": 1}
                for alert in alerts
            ],
        }
        for time, alerts in firing.items()
    ]
    return {
        "name": name,
        "interval": "15s",
        "input_series": [{"series": k, "values": v} for k, v in given.items()],
        "promql_expr_test": questions,
    }


def test_rules__of_all_groups__are_taken_by_prometheus() -> None:
    config = RULES_PATH.with_name("prometheus.yaml")
    assert promtool("check", "rules", str(RULES_PATH)) == ""
    assert promtool("check", "config", "--syntax-only", str(config)) == ""


def test_rules__of_every_case__fire_when_they_should_and_only_then(
    tmp_path: Path,
) -> None:
    # Hours are evaluated each minute, which is as good and takes a quarter of the time.
    long = [case for case in CASES if "h" in "".join(case[2])]
    short = [case for case in CASES if case not in long]
    paths = [tmp_path / "short.yaml", tmp_path / "long.yaml"]
    paths[0].write_text(yaml.safe_dump(unit_tests(short, "15s")))
    paths[1].write_text(yaml.safe_dump(unit_tests(long, "1m")))
    assert promtool("test", "rules", *map(str, paths)) == ""


def test_cases__of_the_rules__have_every_alert() -> None:
    fired = {
        f"ValueCanvas{alert}"
        for case in CASES
        for at in case[2].values()
        for alert in at
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize(
    "rule", rules(), ids=lambda it: it.get("alert") or it["record"]
)
def test_expression__of_every_rule__names_metrics_and_labels_that_exist(
    rule: dict[str, Any],
) -> None:
    assert find_unknown(rule["expr"]) == set()


def test_expression__with_a_wrong_metric_or_label__is_found() -> None:
    assert find_unknown("sum by (modell) (valuecanvas_requests_total)") == {"modell"}
    assert find_unknown('valuecanvas_request_total{status="ok"}') >= {
        "valuecanvas_request_total"
    }


def test_alerts__of_all_groups__say_whom_they_wake_and_what_to_do() -> None:
    sections = set(re.findall(r"^### (ValueCanvas\w+)$", RUNBOOKS, re.MULTILINE))
    assert sections == ALERTS.keys()
    for name, rule in ALERTS.items():
        notes = rule["annotations"]
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert notes["summary"], name
        assert notes["description"], name
        assert notes["runbook_url"] == f"docs/RUNBOOKS.md#{name.lower()}"


def test_receivers__of_alertmanager__are_there_for_each_severity() -> None:
    path = DEPLOY / "observability/alertmanager/alertmanager.yaml"
    assert promtool("check-config", str(path), program="amtool") == ""
    config = yaml.safe_load(path.read_text())
    receivers = {one["name"] for one in config["receivers"]}
    assert receivers == {rule["labels"]["severity"] for rule in ALERTS.values()}
    (page,) = config["route"]["routes"]
    assert page["matchers"] == ['severity="page"']
    named = re.findall(r"ValueCanvas\(?([\w|]+)\)?", yaml.safe_dump(config))
    for name in "|".join(named).split("|"):
        assert any(alert.startswith(f"ValueCanvas{name}") for alert in ALERTS), name
