"""Experiments in the admin: drafts, what is done to them, and their results."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from llm.models import Model
from llm.prompting import metrics
from prompts.experiments import service
from prompts.models import Experiment, Label, Prompt, ProtectedLabel
from prompts.services import PromptActor
from tests.fixtures_billing import make_model, make_tier
from tests.prompts.experiments.rows import (
    make_actor,
    make_draft,
    make_prompt,
    make_version,
    rows_for,
    said_of,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/prompts/experiment/"
ADD = f"{LIST}add/"


def page(experiment: Experiment, act: str = "change") -> str:
    return f"{LIST}{experiment.pk}/{act}/"


def words(answer: Any) -> str:
    """The page as one reads it."""
    text = re.sub(r"<(script|style).*?</\1>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("&#x27;", "'")


def form(prompt: Prompt | None, *arms: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A draft as the browser sends it."""
    sent = {
        "key": "shorter",
        "hypothesis": "Shorter is better.",
        "metric": "cost",
        "alpha": "0.05",
        "who": "",
        "arms-TOTAL_FORMS": str(len(arms)),
        "arms-INITIAL_FORMS": str(sum("id" in arm for arm in arms)),
        **({"prompt": str(prompt.pk)} if prompt else {}),
        **fields,
    }
    for number, arm in enumerate(arms):
        sent |= {f"arms-{number}-{name}": value for name, value in arm.items()}
    return sent


A = {"name": "a", "number": "1", "share": "90", "model": "", "control": "on"}
B = {"name": "b", "number": "2", "share": "10", "model": ""}


@pytest.fixture
def running() -> Experiment:
    return service.start(make_draft(), actor=make_actor())


def fill(experiment: Experiment, number: int = 200) -> None:
    key = experiment.prompt.key
    for arm, score in (("a", -0.5), ("b", 0.5)):
        rows = rows_for(key, f"{experiment.key}:{arm}", number, at=timezone.now())
        said_of(rows[::2], score)
        said_of(rows[1::2], 0)


# -- drafts --------------------------------------------------------------------------


def test_add__two_arms__is_a_draft(operator: Client) -> None:
    prompt = make_prompt("canvas.generate")
    make_tier("pro")
    made = form(prompt, A, B, who="country in DE, AT\nage gte 18", for_tiers=["pro"])
    answer = operator.post(ADD, made)
    assert answer.status_code == 302, words(answer)
    draft = Experiment.objects.get()
    assert (draft.key, draft.prompt, draft.state) == ("shorter", prompt, "draft")
    assert (draft.metric, draft.tiers) == ("cost", ["pro"])
    assert draft.conditions[1] == {"attribute": "age", "operator": "gte", "value": 18}
    assert draft.owner.username == "olga"
    assert [(arm.name, arm.version.number, arm.weight) for arm in draft.arms.all()] == [
        ("a", 1, 9000),
        ("b", 2, 1000),
    ]
    assert LogEntry.objects.get().object_id == str(draft.pk)


def test_add__page__has_two_empty_arms_and_the_prompt_asked_for(boss: Client) -> None:
    prompt = make_prompt("canvas.generate")
    answer = boss.get(f"{ADD}?prompt={prompt.pk}")
    text = answer.content.decode()
    assert 'name="arms-1-share"' in text
    assert "canvas.generate" in text


@pytest.mark.parametrize(
    ("arms", "fields", "says"),
    [
        ((A,), {}, "2 to 10 arms"),
        ((A, {**B, "share": "20"}), {}, "add up to 110 %"),
        ((A, {**B, "number": "9"}), {}, "no version 9"),
        ((A, {**B, "control": "on"}), {}, "One arm is the control"),
        ((A, {**B, "name": "a"}), {}, "correct the duplicate"),
        ((A, {**B, "model": "no-model"}), {}, "no model 'no-model'"),
        ((A, {**B, "share": "x"}), {}, "Enter a number"),
        ((A, B), {"who": "country"}, "Line 1"),
        ((A, B), {"key": "Not A Key"}, "small letters"),
        ((A, B), {"alpha": "0.9"}, "less than or equal to 0.5"),
        ((A, B), {"prompt": ""}, "This field is required"),
    ],
)
def test_add__something_wrong__says_what(
    boss: Client, arms: Any, fields: dict[str, Any], says: str
) -> None:
    answer = boss.post(ADD, {**form(make_prompt(), *arms), **fields})
    assert answer.status_code == 200
    assert says in words(answer)
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"enabled": False}, "The model 'arms-own' is switched off."),
        ({"kind": "embedding"}, "The model 'arms-own' is not for chats."),
    ],
)
def test_add__model_that_cannot_answer__says_so_at_its_field(
    boss: Client, fields: dict[str, Any], says: str
) -> None:
    make_model("arms-own", **fields)
    sent = form(make_prompt(), A, {**B, "model": "arms-own"})
    answer = boss.post(ADD, sent)
    assert says in words(answer)
    inline = answer.context["inline_admin_formsets"][0].formset
    assert list(inline.errors[1]) == ["model"]
    assert not Experiment.objects.exists()


def test_start__model_gone_since_the_draft__is_refused_by_name(boss: Client) -> None:
    make_model("short-lived")
    boss.post(ADD, form(make_prompt(), A, {**B, "model": "short-lived"}))
    draft = Experiment.objects.get()
    Model.objects.filter(name="short-lived").update(enabled=False)
    answer = boss.post(page(draft, "start"), {"reason": ""})
    assert "Arm 'b': The model 'short-lived' is switched off." in words(answer)
    draft.refresh_from_db()
    assert draft.state == "draft"
    Model.objects.filter(name="short-lived").update(enabled=True)
    assert boss.post(page(draft, "start"), {"reason": ""}).status_code == 302
    draft.refresh_from_db()
    assert draft.state == "running"


def test_running__model_gone__is_told_and_cannot_be_promoted(boss: Client) -> None:
    make_model("short-lived")
    boss.post(ADD, form(make_prompt(), A, {**B, "model": "short-lived"}))
    running = service.start(Experiment.objects.get(), actor=make_actor())
    assert "A model is missing" not in words(boss.get(page(running)))
    Model.objects.filter(name="short-lived").delete()
    text = words(boss.get(page(running)))
    assert "A model is missing" in text
    assert "Arm b: There is no model 'short-lived'." in text
    sent = {"arm": "b", "reason": "Better."}
    answer = boss.post(page(running, "promote"), sent)
    assert "There is no model 'short-lived'" in words(answer)
    running.refresh_from_db()
    assert (running.state, running.winner) == ("running", "")
    boss.post(page(running, "promote"), {**sent, "arm": "a"})
    running.refresh_from_db()
    assert running.winner == "a"
    assert "A model is missing" not in words(boss.get(page(running)))


def test_change__draft__is_written_anew(operator: Client) -> None:
    make_model("small-model")
    draft = make_draft(conditions=[{"attribute": "plan", "operator": "exists"}])
    text = operator.get(page(draft)).content.decode()
    assert "plan exists" in text
    assert "Start" in text
    # The control changes places, the second one gets a model and the live version.
    [a, b] = draft.arms.all()
    first = {"id": a.pk, "experiment": draft.pk, "name": "a", "number": "1", "share": "40", "model": ""}  # fmt: skip
    second = {"id": b.pk, "experiment": draft.pk, "name": "b", "number": "", "share": "60", "model": "small-model", "control": "on"}  # fmt: skip
    sent = form(None, first, second, who="", metric="latency")
    answer = operator.post(page(draft), sent)
    assert answer.status_code == 302, words(answer)
    draft.refresh_from_db()
    assert (draft.metric, draft.conditions) == ("latency", [])
    [control, other] = draft.arms.all()
    assert (control.name, control.version, control.model) == ("b", None, "small-model")
    assert (other.name, other.weight) == ("a", 4000)


def test_change__arm_removed_and_added__is_written_anew(boss: Client) -> None:
    draft = make_draft()
    make_version(draft.prompt, 3)
    [a, b] = draft.arms.all()
    sent = form(
        None,
        {**A, "id": a.pk, "experiment": draft.pk, "share": "50"},
        {**B, "id": b.pk, "experiment": draft.pk, "DELETE": "on"},
        {"name": "c", "number": "3", "share": "50", "model": ""},
    )
    assert boss.post(page(draft), sent).status_code == 302
    assert [arm.name for arm in draft.arms.all()] == ["a", "c"]


def test_draft__deleted__is_gone_but_a_started_one_stays(
    boss: Client, running: Experiment
) -> None:
    draft = make_draft()
    assert boss.post(page(draft, "delete"), {"post": "yes"}).status_code == 302
    assert boss.post(page(running, "delete"), {"post": "yes"}).status_code == 403
    sent = {"action": "delete_selected", "_selected_action": [running.pk], "post": "y"}
    boss.post(LIST, sent)
    assert list(Experiment.objects.all()) == [running]


# -- what is done to them ------------------------------------------------------------


def test_acts__from_start_to_winner__each_with_its_reason(operator: Client) -> None:
    draft = make_draft()
    assert "From the next request on" in words(operator.get(page(draft, "start")))
    answer = operator.post(page(draft, "start"), {"reason": ""}, follow=True)
    assert "Started." in words(answer)
    [a, b] = draft.arms.all()
    shares = {f"share-{a.pk}": "20", f"share-{b.pk}": "80", "reason": "More."}
    answer = operator.post(page(draft, "weights"), shares, follow=True)
    assert "Changed the shares." in words(answer)
    answer = operator.post(
        page(draft, "promote"), {"arm": "b", "reason": "Better."}, follow=True
    )
    text = words(answer)
    assert "Promoted b: everybody gets it" in text
    assert "Promoted: b" in text
    draft.refresh_from_db()
    assert (draft.state, draft.winner) == ("stopped", "b")
    assert Label.objects.get(prompt=draft.prompt).version.number == 2
    told = [entry.change_message for entry in LogEntry.objects.order_by("id")]
    assert told == [
        "Start. ",
        "Change the shares. More.",
        "Promote a winner. Better.",
    ]
    reasons = draft.prompt.events.values_list("action", "reason", "actor_name")
    assert ("experiment_promoted", "Better.", "olga") in reasons


def test_stop__without_a_reason__asks_for_one(
    operator: Client, running: Experiment
) -> None:
    answer = operator.post(page(running, "stop"), {"reason": " "})
    assert "This field is required" in words(answer)
    running.refresh_from_db()
    assert running.state == "running"
    operator.post(page(running, "stop"), {"reason": "Enough."})
    running.refresh_from_db()
    assert (running.state, running.reason) == ("stopped", "Enough.")
    assert "Stopped" in words(operator.get(page(running)))


def test_weights__not_a_whole__says_so(operator: Client, running: Experiment) -> None:
    [a, b] = running.arms.all()
    shares = {f"share-{a.pk}": "20", f"share-{b.pk}": "70", "reason": "x"}
    answer = operator.post(page(running, "weights"), shares)
    assert "add up to 90 %" in words(answer)
    assert 'value="20"' in answer.content.decode()


def test_start__another_one_runs__says_which(
    operator: Client, running: Experiment
) -> None:
    second = make_draft(running.prompt)
    answer = operator.post(page(second, "start"), {})
    assert f"The experiment '{running.key}' is running" in words(answer)


def test_start__draft_that_no_longer_is_right__says_why(operator: Client) -> None:
    draft = make_draft()
    draft.arms.filter(name="b").update(weight=1000)
    answer = operator.post(page(draft, "start"), {})
    assert "add up to 60 %" in words(answer)


def test_promote__no_arm_chosen__asks_for_it(
    operator: Client, running: Experiment
) -> None:
    assert "Choose the winner" in words(operator.get(page(running, "promote")))
    text = words(operator.post(page(running, "promote"), {"arm": "", "reason": "x"}))
    assert "This field is required." in text
    running.refresh_from_db()
    assert running.state == "running"


def test_promote__protected_label__says_so(
    operator: Client, running: Experiment
) -> None:
    ProtectedLabel.objects.create(name="production")
    answer = operator.post(page(running, "promote"), {"arm": "b", "reason": "x"})
    assert "is protected" in words(answer)
    running.refresh_from_db()
    assert running.state == "running"


@pytest.mark.parametrize("act", ["start", "promote"])
def test_act__not_in_this_state__is_refused(operator: Client, act: str) -> None:
    experiment = make_draft() if act == "promote" else service.start(
        make_draft(), actor=make_actor()
    )  # fmt: skip
    answer = operator.get(page(experiment, act), follow=True)
    assert "Not possible: the experiment is" in words(answer)


def test_promote__a_second_time__is_refused(boss: Client, running: Experiment) -> None:
    service.promote(running, "b", actor=make_actor(), reason="x")
    text = words(boss.post(page(running, "promote"), {"arm": "a"}, follow=True))
    assert "Not possible" in text


@pytest.mark.parametrize("act", ["start", "weights", "stop", "promote"])
def test_acts__without_the_right__are_forbidden(
    auditor: Client, newcomer: Client, act: str
) -> None:
    draft = make_draft()
    for client in (auditor, newcomer):
        assert client.post(page(draft, act), {"reason": "x"}).status_code == 403
    draft.refresh_from_db()
    assert draft.state == "draft"
    assert "Start" not in words(auditor.get(page(draft)))


def test_acts__may_edit_but_not_publish__cannot_start() -> None:
    user = User.objects.create_user("edda", is_staff=True)
    names = ("view_experiment", "change_experiment")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client, draft = Client(), make_draft()
    client.force_login(user)
    assert client.get(page(draft)).status_code == 200
    assert client.post(page(draft, "start"), {}).status_code == 403


# -- the list and the results --------------------------------------------------------


def test_list__experiments__shows_state_and_arms(
    boss: Client, running: Experiment
) -> None:
    text = words(boss.get(LIST))
    assert running.key in text
    assert "Running" in text
    assert "a 50 %, b 50 %" in text


def test_results__clear_winner__says_so_in_words(
    auditor: Client, running: Experiment
) -> None:
    fill(running)
    answer = auditor.get(page(running))
    text = words(answer)
    assert "b is better than a." in text
    assert "feedback score is higher than a's by" in text
    assert "a certainty of 95 %" in text
    assert "version 1" in text
    assert "The other metrics" in text
    html = answer.content.decode()
    assert '<rect class="vx-good"' in html
    assert html.count("<canvas") == 2
    assert "Change the shares" not in text


def test_results__no_requests__says_what_counts(
    boss: Client, running: Experiment
) -> None:
    text = words(boss.get(page(running)))
    assert "Too early to tell." in text
    assert "No requests so far" in text
    assert "Nothing to draw yet." in text
    assert "Change the shares" in text


def test_results__users_lost__warns(boss: Client, running: Experiment) -> None:
    key = running.prompt.key
    rows_for(key, f"{running.key}:a", 300, at=timezone.now())
    rows_for(key, f"{running.key}:b", 150, at=timezone.now())
    assert "The split is wrong" in words(boss.get(page(running)))


@pytest.mark.parametrize("metric", ["error_rate", "cost", "latency"])
def test_results__of_each_metric__are_drawn(boss: Client, metric: str) -> None:
    experiment = service.start(make_draft(metric=metric), actor=make_actor())
    key = experiment.prompt.key
    now = timezone.now()
    rows_for(key, f"{experiment.key}:a", 200, at=now, failed=20)
    rows_for(
        key, f"{experiment.key}:b", 200, at=now, failed=100,
        latency_ms=lambda i: 800 + i, cost_usd=lambda i: 0.003 + i / 1e6,
    )  # fmt: skip
    answer = boss.get(page(experiment))
    text = words(answer)
    assert "a is better than b." in text
    assert "keep the control" in text
    assert '<rect class="vx-bad"' in answer.content.decode()


def test_results__of_a_draft__for_those_who_only_look(auditor: Client) -> None:
    draft = make_draft(
        tiers=["pro"],
        conditions=[{"attribute": "plan", "operator": "equals", "value": "x"}],
    )
    text = words(auditor.get(page(draft)))
    assert "Not started" in text
    assert "the tiers pro, and plan equals x" in text
    assert "50 %" in text


def test_results__ledger_too_busy__says_so(
    boss: Client, running: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*args: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(metrics, "figures", busy)
    assert "The figures took too long" in words(boss.get(page(running)))


def test_results__names_of_people__are_escaped(boss: Client) -> None:
    draft = make_draft(hypothesis="<script>alert(1)</script>")
    started = service.start(draft, actor=PromptActor("x", is_superuser=True))
    service.stop(started, actor=PromptActor("x"), reason="<img src=x>")
    html = boss.get(page(started)).content.decode()
    assert "<script>alert(1)" not in html
    assert "<img src=x>" not in html


def test_feedback_list__of_a_request__shows_and_filters(auditor: Client) -> None:
    rows = rows_for("canvas.generate", "e:a", 2, prompt_version=3)
    said_of(rows[:1], 1, comment="Lovely")
    said_of(rows[1:], -0.5, comment="Poor")
    text = words(auditor.get("/admin/llm/feedback/"))
    assert "canvas.generate v3" in text
    assert "+1" in text
    found = auditor.get("/admin/llm/feedback/", {"said": "bad"})
    assert [one.comment for one in found.context["cl"].result_list] == ["Poor"]
    url = reverse("admin:llm_feedback_change", args=[rows[0].pk])
    assert str(rows[0].pk) in auditor.get(url).content.decode()
