"""The form of chaos experiments: what it saves, and what it says of each wrong value."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm.models.chaos import ChaosExperiment
from tests.admin.chaos_rows import make_chaos_experiment
from tests.fixtures_billing import make_provider, make_route, make_tier

pytestmark = pytest.mark.django_db
ADD = "/admin/llm/chaosexperiment/add/"
GIVEN: dict[str, Any] = {
    "name": "slow-openai",
    "hypothesis": "Nobody notices.",
    "fault": "error",
    "error_status": "503",
    "percent": "5",
    "most_error_percent": "2",
    "blast_percent": "10",
    "ttl_s": "300",
}


@pytest.fixture(autouse=True)
def _chaos_on(settings: Any) -> None:
    settings.CHAOS_ENABLED = True


def moment(name: str, **ahead: float) -> dict[str, str]:
    at = timezone.now() + timedelta(**ahead)
    return {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200
    return dict(answer.context["adminform"].form.errors)


def test_add__all_targets__are_saved_as_the_plan_reads_them(boss: Client) -> None:
    route, tier = make_route(), make_tier()
    sent = {
        **GIVEN,
        "providers": [route.provider.key],
        "model_names": [route.model.name],
        "endpoints": ["chat"],
        "for_tiers": [tier.key],
        "who": "team equals search",
        "schedule": "30 9 * * 2",
    }
    answer = boss.post(ADD, sent)
    assert answer.status_code == 302, errors(answer)
    row = ChaosExperiment.objects.get()
    assert (row.providers, row.model_names) == ([route.provider.key], [route.model.name])  # fmt: skip
    assert row.parameters == {"status": 503}
    assert row.conditions == [
        {"attribute": "tier", "operator": "in", "value": [tier.key]},
        {"attribute": "team", "operator": "equals", "value": "search"},
    ]
    assert row.crontab is not None
    assert (row.crontab.minute, row.crontab.day_of_week) == ("30", "2")
    assert row.created_by is not None
    page = boss.get(reverse("admin:llm_chaosexperiment_change", args=[row.pk]))
    form = page.context["adminform"].form
    assert form.initial["for_tiers"] == [tier.key]
    assert form.initial["who"] == "team equals search"
    assert form.initial["schedule"] == "30 9 * * 2"
    assert form.initial["error_status"] == 503


def test_change__nothing__keeps_what_is_gone_from_the_lists(boss: Client) -> None:
    row = make_chaos_experiment(providers=["gone"], model_names=["away"])
    url = reverse("admin:llm_chaosexperiment_change", args=[row.pk])
    sent = {**GIVEN, "providers": ["gone"], "model_names": ["away"], "endpoints": ["chat"]}  # fmt: skip
    assert boss.post(url, sent).status_code == 302
    row.refresh_from_db()
    assert (row.providers, row.model_names) == (["gone"], ["away"])


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "not a slug"}),
        ("hypothesis", {"hypothesis": ""}),
        ("fault", {"fault": "store_down"}),
        ("fault", {"fault": ""}),
        ("error_status", {"error_status": "200"}),
        ("latency_delay_ms", {"fault": "latency", "latency_delay_ms": "-1"}),
        ("latency_delay_ms", {"fault": "latency", "latency_delay_ms": "soon"}),
        ("latency_shape", {"fault": "latency", "latency_shape": "odd"}),
        ("latency_most_ms", {"fault": "latency", "latency_most_ms": "9" * 30}),
        ("rate_limit_retry_after_s", {"fault": "rate_limit", "rate_limit_retry_after_s": "0"}),
        ("malformed_form", {"fault": "malformed", "malformed_form": "poem"}),
        ("cut_after", {"fault": "cut", "cut_after": "-5"}),
        ("cut_unit", {"fault": "cut", "cut_unit": "miles"}),
        ("percent", {"percent": "0"}),
        ("percent", {"percent": "100.5"}),
        ("percent", {"percent": ""}),
        ("percent", {"percent": "NaN"}),
        ("providers", {"providers": ["nobody"]}),
        ("model_names", {"model_names": ["nothing"]}),
        ("endpoints", {"endpoints": ["images"]}),
        ("for_tiers", {"for_tiers": ["none"]}),
        ("who", {"who": "team"}),
        ("who", {"who": "team like a"}),
        ("who", {"who": "country equals SE"}),
        ("most_error_percent", {"most_error_percent": ""}),
        ("most_error_percent", {"most_error_percent": "100"}),
        ("most_error_percent", {"most_error_percent": "-1"}),
        ("least_availability_percent", {"least_availability_percent": "101"}),
        ("most_p95_ms", {"most_p95_ms": "0"}),
        ("most_p95_ms", {"most_p95_ms": "99999999999"}),
        ("most_cost_usd", {"most_cost_usd": "-1"}),
        ("blast_percent", {"blast_percent": "0"}),
        ("blast_percent", {"blast_percent": ""}),
        ("ttl_s", {"ttl_s": "5"}),
        ("ttl_s", {"ttl_s": "901"}),
        ("ttl_s", {"ttl_s": ""}),
        ("schedule", {"schedule": "daily"}),
        ("schedule", {"schedule": "99 * * * *"}),
        ("starts_at", {"starts_at_0": "2020-01-01", "starts_at_1": "10:00:00"}),
        ("starts_at", {"starts_at_0": "soon", "starts_at_1": ""}),
        ("window_ends", {"window_begins_0": "2030-01-01", "window_begins_1": "10:00:00"}),
        ("window_ends", {"window_begins_0": "2030-01-01", "window_begins_1": "10:00:00", "window_ends_0": "2030-01-01", "window_ends_1": "09:00:00"}),
        ("schedule", {"schedule": "0 9 * * *", "starts_at_0": "2030-01-01", "starts_at_1": "10:00:00"}),
    ],
)  # fmt: skip
def test_add__wrong_value__is_an_error_of_its_field(
    boss: Client, field: str, changed: dict[str, Any]
) -> None:
    found = errors(boss.post(ADD, {**GIVEN, **changed}))
    assert [*found] == [field]
    assert found[field]
    assert not ChaosExperiment.objects.exists()


def test_add__same_name_again__is_an_error_of_the_name(boss: Client) -> None:
    make_chaos_experiment(name=GIVEN["name"])
    assert [*errors(boss.post(ADD, GIVEN))] == ["name"]


def test_add__wrong_value_of_another_fault__does_not_matter(boss: Client) -> None:
    sent = {**GIVEN, "latency_delay_ms": "soon", "cut_unit": "miles"}
    assert boss.post(ADD, sent).status_code == 302
    assert ChaosExperiment.objects.get().parameters == {"status": 503}


def test_add__in_production__meets_no_more_than_the_cap(
    boss: Client, settings: Any
) -> None:
    settings.PRODUCTION = True
    found = errors(boss.post(ADD, {**GIVEN, "blast_percent": "11"}))
    assert found == {"blast_percent": ["Production allows 10 at most."]}


def test_form__looked_at__shows_the_parameters_of_the_chosen_fault_alone(
    boss: Client,
) -> None:
    make_provider()
    text = boss.get(ADD).content.decode()
    for fault in ("latency", "error", "rate_limit", "malformed", "cut"):
        assert f"""x-show="fault == '{fault}'\"""" in text.replace("&#x27;", "'")


def test_experiments__by_an_operator__are_looked_at_alone(operator: Client) -> None:
    row = make_chaos_experiment()
    url = reverse("admin:llm_chaosexperiment_change", args=[row.pk])
    text = operator.get(url).content.decode()
    assert "Of the chat calls to any provider, 5\u00a0% get status 503" in text
    assert "Start…" not in text
    assert operator.post(url, GIVEN).status_code == 403
    assert operator.get(ADD).status_code == 403
