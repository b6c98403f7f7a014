"""What the snapshot knows of prompts and experiments, and what it costs to read."""

import json

import pytest
from django.db import connection

from prompts import config, services
from prompts.config import ArmFacts, RolloutFacts
from prompts.models import Experiment, Prompt, PromptVersion
from tests.prompts.rows import ANN, make_prompt, move
from valuecanvas.core.targeting.bucketing import allocate, dump_allocation

pytestmark = pytest.mark.django_db
MANY, EACH = 2000, 20
SWEDES = {"attribute": "country", "operator": "equals", "value": "SE"}


def test_prompts__with_all_that_belongs_to_them__are_facts():
    prompt = make_prompt(
        "one", "two {{x}}", key="p", cache_policy="never", cache_scope="team"
    )
    move(prompt, 1)
    move(prompt, 2, "staging")
    rollout = services.start_rollout(prompt, 2, share=700, actor=ANN)
    make_prompt("z", key="other")

    found = config.load_prompts()

    facts = found[str(prompt.pk)]
    assert len(found) == 2
    assert (facts.id, facts.key, facts.kind, facts.is_chat) == (str(prompt.pk), "p", "text", False)  # fmt: skip
    assert (facts.archived, facts.cache_policy, facts.cache_scope) == (False, "never", "team")  # fmt: skip
    assert (facts.labels, facts.latest) == ({"production": 1, "staging": 2}, 2)
    assert facts.rollout == RolloutFacts(str(rollout.pk), 2, 700, rollout.salt)
    assert facts.versions[2].words.declared[0].name == "x"
    assert facts.versions[2].digest == prompt.versions.get(number=2).digest
    assert config.prompts_by_key(found)["p"] is facts


def test_prompts__some_keys__are_only_those_that_exist():
    one, two = make_prompt("x"), make_prompt("y")

    assert list(config.load_prompts([str(two.pk), "999999"])) == [str(two.pk)]
    assert config.load_prompts([]) == {}
    assert config.load_prompts([str(one.pk)])[str(one.pk)].versions[1].template == "x"


def test_prompts__that_have_nothing_yet__have_no_latest():
    prompt = make_prompt()

    facts = config.load_prompts()[str(prompt.pk)]

    assert (facts.latest, facts.labels, facts.rollout) == (None, {}, None)


def test_rollout__that_has_ended__is_none():
    prompt = make_prompt("1", "2", production=1)
    rollout = services.start_rollout(prompt, 2, share=700, actor=ANN)
    services.pause(rollout, actor=ANN)
    assert config.load_prompts()[str(prompt.pk)].rollout is not None

    services.roll_back_rollout(rollout, actor=ANN, reason="x")

    assert config.load_prompts()[str(prompt.pk)].rollout is None


def test_version__its_words__are_parsed_once_and_only_when_asked():
    prompt = make_prompt(kind="chat")
    rows = [{"role": "system", "content": "é {{x}}"}]
    services.add_version(
        prompt, messages=rows, parameters={"top_p": 0.5}, model="m", actor=ANN
    )
    facts = config.load_prompts()[str(prompt.pk)].versions[1]

    assert facts._words is None
    assert json.loads(facts.messages_json) == rows
    assert facts.words is facts.words
    assert facts.words.parameters == {"top_p": 0.5}
    ((role, template),) = facts.words.messages
    assert (role, template.render({"x": "y"})) == ("system", "é y")


def test_words__a_name_that_was_never_declared__must_be_given():
    (declared,) = config.read_words("{{x}}", [], [], {}).declared

    assert (declared.name, declared.required) == ("x", True)


def run(key: str, prompt: Prompt, state: str) -> Experiment:
    made = Experiment.objects.create(
        key=key,
        prompt=prompt,
        state=state,
        tiers=["pro"],
        conditions=[SWEDES],
        allocation=dump_allocation(allocate({"a": 5000, "b": 5000})),
    )
    made.arms.create(name="a", weight=5000, control=True)
    made.arms.create(
        name="b", weight=5000, model="m", version=prompt.versions.get(number=1)
    )
    return made


def test_experiments__running_ones__are_facts_by_prompt():
    prompt = make_prompt("x", key="p", production=1)
    made = run("exp", prompt, "running")
    run("draft", prompt, "draft")
    run("old", prompt, "stopped")

    found = config.load_experiments()

    facts = found[str(made.pk)]
    assert list(found) == [str(made.pk)]
    assert (facts.key, facts.prompt, facts.salt) == ("exp", "p", "experiment:exp")
    assert facts.tiers == {"pro"}
    assert facts.conditions == [SWEDES]
    assert facts.arms == {"a": ArmFacts("a", None, ""), "b": ArmFacts("b", 1, "m")}
    assert facts.allocation == allocate({"a": 5000, "b": 5000})
    assert config.experiments_by_prompt(found) == {"p": facts}
    assert config.load_experiments(["0"]) == {}


def test_prompts__2000_with_20_versions__take_four_queries(django_assert_num_queries):
    fill(MANY, EACH)

    with django_assert_num_queries(4):
        found = config.load_prompts()

    assert len(found) == MANY
    assert sum(len(facts.versions) for facts in found.values()) == MANY * EACH
    with django_assert_num_queries(4):
        config.load_prompts([next(iter(found))])


def fill(prompts: int, versions: int) -> None:
    """Rows past the services: they would take a minute."""
    made = Prompt.objects.bulk_create(
        Prompt(key=f"p{number}") for number in range(prompts)
    )
    text = "You are a consultant. {{question}} Answer in {{language}}. " * 10
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO prompt_versions (prompt_id, number, template, messages,
                 variables, model, parameters, author_name, note, tags, digest, created_at)
               SELECT p.id, n, %s || n, '[]', %s, '', '{"temperature": 0.2}', 'ann', '',
                 '{}', md5(p.id || ' ' || n), now()
               FROM prompts_prompt p, generate_series(1, %s) n""",
            [text, json.dumps([{"name": "question"}, {"name": "language"}]), versions],
        )
        cursor.execute(
            """INSERT INTO prompts_label (prompt_id, name, version_id, moved_at)
               SELECT prompt_id, 'production', id, now() FROM prompt_versions
               WHERE number = 10"""
        )
    assert PromptVersion.objects.count() == len(made) * versions
