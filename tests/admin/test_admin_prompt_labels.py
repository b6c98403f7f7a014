"""Publishing, rolling back and rolling out gradually, from the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from prompts import services
from prompts.models import Experiment, Prompt, ProtectedLabel
from tests.admin.prompt_rows import (
    NOBODY,
    actor,
    live_number,
    make_prompt,
    make_version,
    publish,
)


def url_of(prompt: Prompt, name: str = "move", **query: object) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items())
    return f"/admin/prompts/prompt/{prompt.pk}/{name}/?{text}"


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def label_at(prompt: Prompt, name: str) -> int:
    return int(prompt.labels.select_related("version").get(name=name).version.number)


# -- publish -------------------------------------------------------------------------


def test_publish__page__shows_what_changes(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    text = text_of(operator.get(url_of(prompt, version=2)))
    for words in ("Publish version 2", "Now version 1 is live", "<del> 1</del>", "<ins> 2</ins>"):  # fmt: skip
        assert words in text


def test_publish__confirmed__is_live_and_audited(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    url = url_of(prompt, version=2)
    seen = operator.get(url).context["form"]["expected"].value()
    sent = {"reason": "It is better.", "expected": seen}
    answer = operator.post(url, sent, follow=True)
    assert "Version 2 is live from the next request on." in text_of(answer)
    assert live_number(prompt) == 2
    event = prompt.events.first()
    assert event is not None
    assert (event.actor_name, event.from_version, event.to_version, event.reason) == (
        "olga", 1, 2, "It is better.",
    )  # fmt: skip


def test_publish__first_time__nothing_was_live(operator: Client) -> None:
    prompt = make_prompt(versions=1)
    url = url_of(prompt, version=1)
    assert "Nothing is live yet" in text_of(operator.get(url))
    operator.post(url, {"reason": "Go", "expected": ""})
    assert live_number(prompt) == 1


def test_publish__without_a_reason__asks_for_it(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    answer = operator.post(url_of(prompt, version=2), {"reason": "", "expected": "1"})
    assert answer.status_code == 422
    assert "Give a reason" in text_of(answer)
    assert live_number(prompt) == 1


def test_publish__somebody_was_faster__sees_who_and_decides_again(
    operator: Client, boss: Client
) -> None:
    prompt = make_prompt(versions=3, live=1)
    url = url_of(prompt, version=2)
    operator.get(url)
    publish(prompt, 3, by=actor("boss"), why="urgent fix")
    answer = operator.post(url, {"reason": "mine", "expected": "1"})
    text = text_of(answer)
    assert answer.status_code == 409
    assert "boss changed it first" in text
    assert "from version 1 to version 3" in text
    assert "urgent fix" in text
    assert live_number(prompt) == 3
    # The question is asked anew, of how it stands now.
    assert answer.context["form"]["reason"].value() == "mine"
    seen = answer.context["form"]["expected"].value()
    operator.post(url, {"reason": "still mine", "expected": seen})
    assert live_number(prompt) == 2


def test_publish__live_already__nothing_to_do(operator: Client) -> None:
    prompt = make_prompt(versions=1, live=1)
    assert "There is nothing to do" in text_of(operator.get(url_of(prompt, version=1)))


def test_publish__rollout_and_experiment__are_warned_of(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=1)
    services.start_rollout(prompt, 2, share=1000, actor=NOBODY)
    Experiment.objects.create(key="tone", prompt=prompt, state="running")
    text = text_of(operator.get(url_of(prompt, version=3)))
    assert "A gradual rollout of version 2 is under way" in text
    assert "The experiment tone is running" in text


@pytest.mark.parametrize("door", ["move", "rollout"])
def test_publish__needs_a_variable_more__programs_would_be_refused(
    operator: Client, door: str
) -> None:
    prompt = make_prompt(versions=1, live=1)
    asked = [
        {"name": "business"},
        {"name": "tone", "default": "warm"},
        {"name": "town"},
    ]
    words = "{{business}} {{tone}} {{town}}"
    make_version(prompt, words, variables=asked)
    text = text_of(operator.get(url_of(prompt, door, version=2)))
    assert "Version 2 needs <code>town</code>: requests that leave it out" in text
    make_version(prompt, words, variables=[asked[0], asked[1], {**asked[2], "default": ""}])  # fmt: skip
    assert "needs" not in text_of(operator.get(url_of(prompt, door, version=3)))


def test_publish__includes_what_is_not_there__is_refused(operator: Client) -> None:
    inner = make_prompt("house.style", versions=1, live=1)
    prompt = make_prompt()
    make_version(prompt, "{{> house.style}}")
    Prompt.objects.filter(pk=inner.pk).update(archived=True)
    answer = operator.post(url_of(prompt, version=1), {"reason": "go", "expected": ""})
    assert answer.status_code == 422
    assert "archived" in text_of(answer)


@pytest.mark.parametrize("number", ["", "7", "x"])
def test_publish__no_such_version__not_found(operator: Client, number: str) -> None:
    prompt = make_prompt(versions=1)
    assert operator.get(url_of(prompt, version=number)).status_code == 404


@pytest.mark.parametrize("name", ["rollback", "move", "rollout", "remove_label"])
def test_doors__without_the_right_to_publish__forbidden(
    auditor: Client, name: str
) -> None:
    prompt = make_prompt(versions=2, live=1)
    url = url_of(prompt, name, version=2, label="production")
    assert auditor.get(url).status_code == 403
    assert auditor.post(url, {"reason": "x", "expected": "1"}).status_code == 403
    assert live_number(prompt) == 1


# -- other labels ----------------------------------------------------------------------


def test_label__staging__is_set_and_moved(operator: Client) -> None:
    prompt = make_prompt(versions=2)
    url = url_of(prompt, version=1, label="staging")
    assert "There is no “staging” yet" in text_of(operator.get(url))
    operator.post(url, {"reason": "try", "expected": ""})
    assert label_at(prompt, "staging") == 1
    second = url_of(prompt, version=2, label="staging")
    answer = operator.post(second, {"reason": "try", "expected": "1"}, follow=True)
    assert label_at(prompt, "staging") == 2
    assert "“staging” is version 2 from the next request on." in text_of(answer)


@pytest.mark.parametrize("name", ["latest", "Not A Label", "x" * 41])
def test_label__name_that_cannot_be__not_found(operator: Client, name: str) -> None:
    prompt = make_prompt(versions=1)
    assert operator.get(url_of(prompt, version=1, label=name)).status_code == 404


def test_label__removed__with_a_reason(operator: Client) -> None:
    prompt = make_prompt(versions=1)
    services.move_label(prompt, "beta", 1, expected=None, actor=NOBODY)
    url = url_of(prompt, "remove_label", label="beta")
    assert "get an error" in text_of(operator.get(url))
    assert operator.post(url, {"reason": ""}).status_code == 422
    operator.post(url, {"reason": "over", "expected": "1"})
    assert not prompt.labels.filter(name="beta").exists()
    assert operator.get(url).status_code == 404


def test_label__moved_before_it_is_removed__refused(operator: Client) -> None:
    prompt = make_prompt(versions=2)
    services.move_label(prompt, "beta", 2, expected=None, actor=NOBODY)
    url = url_of(prompt, "remove_label", label="beta")
    answer = operator.post(url, {"reason": "over", "expected": "1"})
    assert answer.status_code == 422
    assert "points at version 2" in text_of(answer)


def test_protected_label__not_in_its_group__is_told_whom_to_ask(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=2, live=1)
    ProtectedLabel.objects.create(name="production")
    url = url_of(prompt, version=2)
    text = text_of(operator.get(url))
    assert "You may not move “production”" in text
    assert ">Publish</button>" not in text
    answer = operator.post(url, {"reason": "x", "expected": "1"})
    assert answer.status_code == 422
    assert live_number(prompt) == 1


def test_protected_label__in_its_group__may(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    rule = ProtectedLabel.objects.create(name="production")
    rule.groups.add(Group.objects.get(name="Operator"))
    operator.post(url_of(prompt, version=2), {"reason": "x", "expected": "1"})
    assert live_number(prompt) == 2


# -- roll back -------------------------------------------------------------------------


def test_rollback__two_clicks_and_a_reason__the_one_before_is_live(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=3, live=1)
    publish(prompt, 3)
    page = text_of(operator.get(url_of(prompt, "change")))
    assert "Roll back to version 1" in page
    url = url_of(prompt, "rollback")
    assert "What changes" in text_of(operator.get(url))
    answer = operator.post(url, {"reason": "wrong tone", "expected": "3"}, follow=True)
    assert "Rolled back: version 1 is live" in text_of(answer)
    event = prompt.events.first()
    assert event is not None
    assert (event.action, event.actor_name, event.reason) == (
        "rolled_back", "olga", "wrong tone",
    )  # fmt: skip


def test_rollback__to_a_chosen_version__goes_there(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=3)
    operator.post(
        url_of(prompt, "rollback", to=2), {"reason": "older", "expected": "3"}
    )
    assert live_number(prompt) == 2


def test_rollback__nothing_before__says_so(operator: Client) -> None:
    prompt = make_prompt(versions=1, live=1)
    assert "Roll back to" not in text_of(operator.get(url_of(prompt, "change")))
    answer = operator.get(url_of(prompt, "rollback"))
    assert "no earlier version in production" in text_of(answer)
    assert operator.post(url_of(prompt, "rollback"), {"reason": "x"}).status_code == 200


def test_rollback__somebody_was_faster__nothing_happens(operator: Client) -> None:
    prompt = make_prompt(versions=3, live=1)
    publish(prompt, 2)
    publish(prompt, 3, why="fixed it")
    answer = operator.post(
        url_of(prompt, "rollback", to=1), {"reason": "bad", "expected": "2"}
    )
    assert answer.status_code == 409
    assert "fixed it" in text_of(answer)
    assert live_number(prompt) == 3


def test_rollback__protected__refused(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    publish(prompt, 2)
    ProtectedLabel.objects.create(name="production")
    answer = operator.post(
        url_of(prompt, "rollback"), {"reason": "bad", "expected": "2"}
    )
    assert answer.status_code == 422
    assert live_number(prompt) == 2


# -- gradual rollout ---------------------------------------------------------------------


def start(client: Client, prompt: Prompt, version: int = 2, **fields: str) -> Any:
    sent = {"share": "10", "plan": "hand", "reason": "careful", **fields}
    return client.post(url_of(prompt, "rollout", version=version), sent)


def act(client: Client, prompt: Prompt, name: str, **fields: str) -> Any:
    sent = {"act": name, "reason": "because", **fields}
    return client.post(url_of(prompt, "rollout"), sent)


def test_rollout__started_by_hand__stays_until_changed(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt, share="12.5")
    rollout = prompt.rollouts.get()
    assert (rollout.share, rollout.steps, rollout.reason) == (1250, [], "careful")
    text = text_of(operator.get(url_of(prompt, "rollout")))
    assert "goes to 12.5" in text
    assert "stays until somebody changes it" in text


def test_rollout__with_a_plan__only_steps_above_the_first_share(
    operator: Client,
) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt, share="30", plan="quick")
    rollout = prompt.rollouts.get()
    assert [step["share"] for step in rollout.steps] == [5000, 10_000]
    text = text_of(operator.get(url_of(prompt, "rollout")))
    assert "50 % after 1 hour, then 100 % after 1 hour" in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": "0"}, "0.01 %"),
        ({"share": "100"}, "0.01 %"),
        ({"share": "101"}, "less than or equal to 100"),
        ({"reason": ""}, "Give a reason"),
        ({"plan": "x"}, "Select a valid choice"),
    ],
)
def test_rollout__wrong_field__is_not_started(
    operator: Client, wrong: dict[str, str], message: str
) -> None:
    prompt = make_prompt(versions=2, live=1)
    answer = start(operator, prompt, **wrong)
    assert message in text_of(answer)
    assert not prompt.rollouts.exists()


@pytest.mark.parametrize(
    ("versions", "live", "message"),
    [
        (0, None, "There is no version yet"),
        (1, None, "Nothing is live yet"),
        (1, 1, "is live already"),
    ],
)
def test_rollout__nothing_to_roll_out__says_why(
    operator: Client, versions: int, live: int | None, message: str
) -> None:
    prompt = make_prompt(versions=versions, live=live)
    url = f"/admin/prompts/prompt/{prompt.pk}/rollout/"
    assert message in text_of(operator.get(url))


def test_rollout__steered__share_hold_resume_and_publish(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt)
    act(operator, prompt, "share", share="40", expected="1000")
    act(operator, prompt, "pause")
    rollout = prompt.rollouts.get()
    assert (rollout.share, rollout.state) == (4000, "paused")
    assert "paused" in text_of(operator.get(url_of(prompt, "change")))
    act(operator, prompt, "resume")
    act(operator, prompt, "finish")
    rollout.refresh_from_db()
    assert rollout.state == "finished"
    assert live_number(prompt) == 2


def test_rollout__rolled_back__everybody_gets_the_live_one(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt)
    act(operator, prompt, "rollback")
    assert prompt.rollouts.get().state == "rolled_back"
    assert live_number(prompt) == 1
    event = prompt.events.first()
    assert event is not None
    assert (event.action, event.reason) == ("rollout_rolled_back", "because")


def test_rollout__share_changed_meanwhile__is_told(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt)
    services.set_share(prompt.rollouts.get(), 2000, actor=NOBODY)
    answer = act(operator, prompt, "share", share="40", expected="1000")
    assert "The share is 20 % now" in text_of(answer)
    assert prompt.rollouts.get().share == 2000


def test_rollout__act_without_reason_or_name__nothing_happens(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt)
    assert act(operator, prompt, "finish", reason="").status_code == 422
    assert act(operator, prompt, "explode").status_code == 200
    assert prompt.rollouts.get().state == "running"


def test_rollout__protected_label__cannot_be_steered(operator: Client) -> None:
    prompt = make_prompt(versions=2, live=1)
    start(operator, prompt)
    ProtectedLabel.objects.create(name="production")
    assert "You may not move" in text_of(operator.get(url_of(prompt, "rollout")))
    assert act(operator, prompt, "finish").status_code == 422
    assert prompt.rollouts.get().state == "running"
