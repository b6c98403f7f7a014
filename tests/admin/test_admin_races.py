"""Two operators who save the same at once: the second is told in the form."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from rest_framework.test import APIClient
from waffle.models import Switch

from flags import services as flags
from flags.models import Flag
from prompts import services as prompts
from prompts.experiments import service as experiments
from prompts.models import Experiment, Prompt, ProtectedLabel
from tests.admin.test_admin_experiments import ADD, A, B, form, words
from tests.collision import faster
from tests.flags.rows import ADA
from tests.prompts.api.conftest import key_client
from tests.prompts.experiments.rows import make_actor, make_draft, make_prompt

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = prompts.PromptActor("ada")


def flag_form(name: str) -> dict[str, str]:
    return {"name": name, "kind": "boolean", "purpose": "release"}


def prompt_form(key: str) -> dict[str, str]:
    return {"key": key, "kind": "text", "cache_policy": "auto"}


def refused(answer: HttpResponse, said: str) -> None:
    assert answer.status_code == 200
    assert said in words(answer)


def test_flag__added_by_two_at_once__the_second_is_told_in_the_form(
    operator: Client,
) -> None:
    with faster(lambda: flags.create_flag({"name": "look"}, actor=ADA)):
        answer = operator.post("/admin/flags/flag/add/", flag_form("look"))
    refused(answer, "Flag with this Name already exists.")
    assert Flag.objects.get().events.get().actor_name == "ada"


def test_prompt__added_by_two_at_once__the_second_is_told_in_the_form(
    operator: Client,
) -> None:
    with faster(lambda: prompts.create_prompt(key="look", actor=NOBODY)):
        answer = operator.post("/admin/prompts/prompt/add/", prompt_form("look"))
    refused(answer, "Prompt with this Key already exists.")
    assert Prompt.objects.get().events.get().actor_name == "ada"


def test_experiment__added_by_two_at_once__the_second_is_told_in_the_form(
    operator: Client,
) -> None:
    prompt, other = make_prompt("one"), make_prompt("two")
    with faster(lambda: make_draft(other, key="shorter")):
        answer = operator.post(ADD, form(prompt, A, B))
    refused(answer, "Experiment with this Key already exists.")
    assert Experiment.objects.get().prompt == other


def test_protected_label__added_by_two_at_once__the_second_is_told_in_the_form(
    boss: Client,
) -> None:
    with faster(lambda: ProtectedLabel.objects.create(name="live")):
        answer = boss.post("/admin/prompts/protectedlabel/add/", {"name": "live"})
    refused(answer, "Protected label with this Name already exists.")


def test_switch__added_by_two_at_once__the_second_is_told_in_the_form(
    boss: Client,
) -> None:
    with faster(lambda: Switch.objects.create(name="x", active=True)):
        answer = boss.post("/admin/waffle/switch/add/", {"name": "x"})
    refused(answer, "Switch with this Name already exists.")
    assert Switch.objects.get().active


def test_experiment__started_while_it_was_edited__is_told_in_the_form(
    operator: Client,
) -> None:
    draft = make_draft(key="shorter")
    arms = [
        {**arm, "id": str(row.pk)}
        for arm, row in zip((A, B), draft.arms.order_by("name"), strict=True)
    ]
    sent = form(draft.prompt, *arms, hypothesis="Late.")
    with faster(lambda: experiments.start(draft, actor=make_actor())):
        answer = operator.post(f"/admin/prompts/experiment/{draft.pk}/change/", sent)
    refused(answer, "The experiment has started: only its weights can change.")
    assert Experiment.objects.get().hypothesis != "Late."


def test_flag__refused_by_its_service_alone__is_told_in_the_form(
    operator: Client,
) -> None:
    tags = ",".join(f"t{n}" for n in range(51))
    answer = operator.post("/admin/flags/flag/add/", {**flag_form("look"), "tags": tags})  # fmt: skip
    refused(answer, "At most 50 tags; these are 51.")
    assert not Flag.objects.exists()


@pytest.mark.parametrize(
    ("url", "body", "act", "param", "said"),
    [
        ("/api/flags", {"name": "look"}, lambda: flags.create_flag({"name": "look"}, actor=ADA), "name", "There is a flag 'look' already."),
        ("/api/prompts", {"key": "look"}, lambda: prompts.create_prompt(key="look", actor=NOBODY), "key", "There is a prompt 'look' already."),
    ],
)  # fmt: skip
def test_rest__created_by_two_at_once__the_second_gets_a_body_that_says_so(
    url: str, body: dict[str, str], act: Callable[[], object], param: str, said: str
) -> None:
    client: APIClient = key_client("flags:write", "prompts:write")
    with faster(act):
        answer = client.post(url, body, format="json")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert said in error["message"]
