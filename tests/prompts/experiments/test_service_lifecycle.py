"""An experiment from its draft to its winner."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from prompts.experiments import service
from prompts.experiments.drafts import (
    MOST_ARMS,
    ArmSpec,
    Draft,
    create_draft,
    edit_draft,
)
from prompts.models import Experiment, Label, ProtectedLabel, Rollout
from prompts.services import PromptActor
from tests.buckets import weights_of
from tests.prompts.experiments.rows import (
    HALVES,
    make_actor,
    make_draft,
    make_prompt,
    make_version,
)
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import Conflict, NotPermitted
from valuecanvas.core.targeting.bucketing import (
    BUCKETS,
    bucket,
    load_allocation,
    owner,
)

pytestmark = pytest.mark.django_db
SUBJECTS = [f"user-{number}" for number in range(10_000)]


def events(experiment: Experiment) -> list[tuple[str, str]]:
    rows = experiment.prompt.events.order_by("id")
    return [(row.action, row.reason) for row in rows]


def arms_of(experiment: Experiment) -> list[str | None]:
    """The arm of each of ten thousand users."""
    spans, salt = load_allocation(experiment.allocation), f"experiment:{experiment.key}"
    return [owner(spans, bucket(salt, subject)) for subject in SUBJECTS]


def production(experiment: Experiment) -> int:
    label = Label.objects.get(prompt=experiment.prompt, name="production")
    return label.version.number


@pytest.fixture
def actor() -> PromptActor:
    return make_actor("olga")


@pytest.fixture
def running(actor: PromptActor) -> Experiment:
    return service.start(make_draft(), actor=actor)


def test_draft__created_and_edited__governs_nothing_yet() -> None:
    made = make_draft(hypothesis="B is shorter.")
    assert (made.state, made.allocation, made.started_at) == ("draft", [], None)
    names = make_prompt(versions=3)
    edited = edit_draft(
        made,
        Draft(
            arms=[
                ArmSpec("control", 9000, control=True),
                ArmSpec("small", 1000, version=2, model="small-model"),
            ],
            tiers=["pro"],
            conditions=[{"attribute": "country", "operator": "exists"}],
            metric="cost",
            alpha=0.01,
        ),
    )
    assert names.key != edited.prompt.key
    [control, small] = edited.arms.all()
    assert (control.version, control.weight, control.control) == (None, 9000, True)
    assert (small.version.number, small.model) == (2, "small-model")
    assert (edited.tiers, edited.metric, edited.alpha) == (["pro"], "cost", 0.01)
    assert edited.hypothesis == ""


def arms(*specs: tuple[str, int, int | None, bool]) -> list[ArmSpec]:
    return [ArmSpec(n, w, version=v, control=c) for n, w, v, c in specs]


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        (arms(("a", 10_000, 1, True)), "2 to 10 arms"),
        (arms(*((f"a{n}", 0, n, False) for n in range(MOST_ARMS + 1))), "2 to 10 arms"),
        (arms(("A B", 5000, 1, True), ("b", 5000, 2, False)), "not a name for an arm"),
        (arms(("a", 5000, 1, True), ("a", 5000, 2, False)), "the same name"),
        (arms(("a", 5000, 1, False), ("b", 5000, 2, False)), "One arm is the control"),
        (arms(("a", 5000, 1, True), ("b", 5000, 2, True)), "One arm is the control"),
        (arms(("a", 5000, 1, True), ("b", 5000, 1, False)), "are the same"),
        (arms(("a", 5000, 1, True), ("b", 5000, 7, False)), "no version 7"),
        (arms(("a", 5000, 1, True), ("b", 4000, 2, False)), "add up to 90 %"),
        (arms(("a", 11_000, 1, True), ("b", -1000, 2, False)), "between 0 and 100"),
    ],
)
def test_draft__wrong_arms__is_refused(specs: list[ArmSpec], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        make_draft(arms=specs)
    assert set(caught.value.message_dict) == {"arms"}
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"conditions": [{"attribute": "a"}]}, "conditions"),
        ({"metric": "beauty"}, "metric"),
        ({"alpha": 0.9}, "alpha"),
        ({"key": "Not A Key"}, "key"),
    ],
)
def test_draft__wrong_field__is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_draft(**fields)
    assert field in caught.value.message_dict


def test_draft__key_that_exists__is_refused() -> None:
    first = make_draft()
    with pytest.raises(ValidationError, match="already exists"):
        make_draft(key=first.key)


def test_start__draft__shares_out_the_users(actor: PromptActor) -> None:
    draft = make_draft(
        arms=arms(("a", 9000, 1, True), ("b", 1000, 2, False)),
    )
    before = epoch.current()
    started = service.start(draft, actor=actor, reason="Let's see.")
    assert epoch.current() > before
    assert started.state == "running"
    assert started.started_at is not None
    assert weights_of(load_allocation(started.allocation)) == {"a": 9000, "b": 1000}
    placed = arms_of(started)
    assert abs(placed.count("b") / len(placed) - 0.1) < 0.01
    assert events(started) == [("experiment_started", "Let's see.")]


def test_start__again__is_refused(running: Experiment, actor: PromptActor) -> None:
    with pytest.raises(Conflict, match="is running"):
        service.start(running, actor=actor)
    with pytest.raises(Conflict, match="only its weights"):
        edit_draft(running, Draft(arms=HALVES))


def test_start__another_one_runs_on_the_prompt__is_refused(
    running: Experiment, actor: PromptActor
) -> None:
    other = make_draft(running.prompt)
    with pytest.raises(Conflict, match=running.key):
        service.start(other, actor=actor)


def test_start__rollout_under_way__is_refused(actor: PromptActor) -> None:
    draft = make_draft()
    version = draft.prompt.versions.get(number=2)
    Rollout.objects.create(prompt=draft.prompt, version=version, share=100)
    with pytest.raises(Conflict, match="rollout"):
        service.start(draft, actor=actor)


def test_start__archived_prompt__is_refused(actor: PromptActor) -> None:
    draft = make_draft()
    draft.prompt.archived = True
    draft.prompt.save()
    with pytest.raises(Conflict, match="archived"):
        service.start(draft, actor=actor)


def test_weights__one_arm_grows__users_only_move_into_it(
    running: Experiment, actor: PromptActor
) -> None:
    before = arms_of(running)
    changed = service.change_weights(
        running, {"a": 2500, "b": 7500}, actor=actor, reason="More."
    )
    after = arms_of(changed)
    moves = {(a, b) for a, b in zip(before, after, strict=True) if a != b}
    assert moves == {("a", "b")}
    assert abs(after.count("b") / len(after) - 0.75) < 0.01
    assert {arm.name: arm.weight for arm in changed.arms.all()} == {
        "a": 2500,
        "b": 7500,
    }
    last = changed.prompt.events.first()
    assert last.details["before"] == {"a": 5000, "b": 5000}
    assert last.details["weights"] == {"a": 2500, "b": 7500}
    assert service.figures_since(changed) == last.at


def test_weights__arm_emptied__gets_nobody(
    running: Experiment, actor: PromptActor
) -> None:
    whole = {"a": 0, "b": BUCKETS}
    changed = service.change_weights(running, whole, actor=actor, reason="b it is")
    assert set(arms_of(changed)) == {"b"}


@pytest.mark.parametrize(
    "weights",
    [{"a": 10_000}, {"a": 5000, "b": 4000}, {"a": 5000, "b": 2000, "c": 3000}],
)
def test_weights__not_of_the_arms__are_refused(
    running: Experiment, actor: PromptActor, weights: dict[str, int]
) -> None:
    with pytest.raises(ValidationError):
        service.change_weights(running, weights, actor=actor, reason="x")
    assert weights_of(load_allocation(running.allocation)) == {"a": 5000, "b": 5000}


def test_weights__never_changed__counts_from_the_start(running: Experiment) -> None:
    assert service.figures_since(running) == running.started_at


def test_stop__running__ends_it(running: Experiment, actor: PromptActor) -> None:
    stopped = service.stop(running, actor=actor, reason="Enough.")
    assert (stopped.state, stopped.reason) == ("stopped", "Enough.")
    assert stopped.stopped_at is not None
    assert events(stopped)[-1] == ("experiment_stopped", "Enough.")
    with pytest.raises(Conflict, match="stopped"):
        service.stop(stopped, actor=actor, reason="Again.")
    service.start(make_draft(running.prompt), actor=actor)


def test_promote__version__production_moves_to_it(
    running: Experiment, actor: PromptActor
) -> None:
    done = service.promote(running, "b", actor=actor, reason="It is better.")
    assert production(done) == 2
    assert (done.state, done.winner) == ("stopped", "b")
    [_, moved, promoted] = done.prompt.events.order_by("id")
    assert (moved.action, moved.label) == ("moved", "production")
    assert (moved.from_version, moved.to_version) == (1, 2)
    assert running.key in moved.reason
    assert (promoted.action, promoted.reason) == (
        "experiment_promoted",
        "It is better.",
    )
    assert promoted.details == {"experiment": done.key, "arm": "b"}
    assert promoted.actor_name == "olga"
    with pytest.raises(Conflict, match="'b' is promoted"):
        service.promote(done, "a", actor=actor, reason="No, this.")


def test_promote__stopped_before__is_possible(
    running: Experiment, actor: PromptActor
) -> None:
    stopped = service.stop(running, actor=actor, reason="Enough.")
    done = service.promote(stopped, "b", actor=actor, reason="It was better.")
    assert production(done) == 2
    assert done.stopped_at == stopped.stopped_at
    assert done.reason == "Enough."


def test_promote__control__moves_nothing(
    running: Experiment, actor: PromptActor
) -> None:
    done = service.promote(running, "a", actor=actor, reason="Stay.")
    assert production(done) == 1
    assert [action for action, _ in events(done)] == [
        "experiment_started",
        "experiment_promoted",
    ]


def test_promote__arm_with_a_model__makes_a_version_of_it(actor: PromptActor) -> None:
    prompt = make_prompt(versions=0)
    make_version(prompt, 1, template="Hi {{name}}.", variables=[{"name": "name"}])
    Label.objects.create(
        prompt=prompt, name="production", version=prompt.versions.get()
    )
    specs = [
        ArmSpec("now", 5000, control=True),
        ArmSpec("small", 5000, model="small-model"),
    ]
    started = service.start(make_draft(prompt, arms=specs), actor=actor)
    done = service.promote(started, "small", actor=actor, reason="Cheaper.")
    version = prompt.versions.first()
    assert production(done) == version.number == 2
    assert (version.model, version.template) == ("small-model", "Hi {{name}}.")
    assert version.variables[0]["name"] == "name"


def test_promote__somebody_made_that_version_already__uses_it(
    actor: PromptActor,
) -> None:
    prompt = make_prompt()
    specs = [ArmSpec("now", 5000, control=True), ArmSpec("m", 5000, model="m")]
    first = service.start(make_draft(prompt, arms=specs), actor=actor)
    service.promote(first, "m", actor=actor, reason="Try.")
    newest = prompt.versions.first()
    Label.objects.filter(prompt=prompt).update(version=prompt.versions.last())
    again = service.start(make_draft(prompt, arms=specs), actor=actor)
    done = service.promote(again, "m", actor=actor, reason="Again.")
    assert production(done) == newest.number
    assert prompt.versions.count() == 3


def test_promote__draft_or_no_such_arm__is_refused(actor: PromptActor) -> None:
    draft = make_draft()
    with pytest.raises(Conflict, match="is draft"):
        service.promote(draft, "b", actor=actor, reason="x")
    started = service.start(draft, actor=actor)
    with pytest.raises(ValidationError, match="no arm 'c'"):
        service.promote(started, "c", actor=actor, reason="x")


def test_promote__protected_label__nothing_happens(running: Experiment) -> None:
    ProtectedLabel.objects.create(name="production")
    with pytest.raises(NotPermitted):
        service.promote(running, "b", actor=PromptActor("ann"), reason="x")
    running.refresh_from_db()
    assert (running.state, running.winner) == ("running", "")


def test_start__protected_label__needs_whoever_may_move_it(
    running: Experiment,
) -> None:
    """Its arms stand in for what the label points at, up to all of it."""
    ProtectedLabel.objects.create(name="production")
    ann, draft = PromptActor("ann"), make_draft()
    with pytest.raises(NotPermitted):
        service.start(draft, actor=ann)
    with pytest.raises(NotPermitted):
        service.change_weights(running, {"a": 0, "b": BUCKETS}, actor=ann, reason="x")
    draft.refresh_from_db()
    assert draft.state == "draft"
    assert service.stop(running, actor=ann, reason="Enough.").state == "stopped"


def test_start__many_arms__costs_few_queries(actor: PromptActor) -> None:
    prompt = make_prompt(versions=10)
    specs = arms(*((f"arm{n}", 1000, n + 1, n == 0) for n in range(10)))
    draft = make_draft(prompt, arms=specs)
    with CaptureQueriesContext(connection) as queries:
        service.start(draft, actor=actor)
    assert len(queries) < 60


def test_create__not_all_right__leaves_nothing(actor: PromptActor) -> None:
    prompt = make_prompt()
    with pytest.raises(ValidationError):
        create_draft(prompt, "x" * 61, Draft(arms=HALVES))
    assert not Experiment.objects.exists()
