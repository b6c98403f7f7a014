"""Prompts and experiments on disk: read again as they were, or not at all."""

import orjson
import pytest

from prompts import config, config_on_disk, services
from prompts.experiments import service as experiments
from prompts.models import Experiment
from prompts.rendering.render import PromptLibrary, choose, render
from tests.prompts.experiments.rows import make_draft
from tests.prompts.experiments.rows import make_prompt as make_numbered
from tests.prompts.rows import ANN, make_prompt

pytestmark = pytest.mark.django_db


def through_disk(section: dict, dump, restore) -> dict:
    found: dict = restore(orjson.loads(orjson.dumps(dump(section))))
    return found


def restored_prompts() -> dict[str, config.PromptFacts]:
    section = config.load_prompts()
    return through_disk(
        section, config_on_disk.dump_prompts, config_on_disk.restore_prompts
    )


def test_prompts__saved_and_read__say_the_same():
    make_prompt("inner words", key="inner", production=1)
    make_prompt("a {{x}} {{> inner}}", "b {{x}} ü", key="outer", production=1)

    library = PromptLibrary(config.prompts_by_key(restored_prompts()))

    for version, words in (1, "a 7 inner words"), (2, "b 7 ü"):
        chosen = choose(library, "outer", version=version, subject="", context={})
        assert render(library, chosen, {"x": 7}).text == words


def test_prompts__saved_and_read__have_every_fact():
    prompt = make_prompt("1", "2", production=1, cache_scope="team")
    services.start_rollout(prompt, 2, share=700, actor=ANN)
    make_prompt()

    before, after = config.load_prompts(), restored_prompts()

    assert after.keys() == before.keys()
    for key, facts in before.items():
        found = after[key]
        for name in facts.__slots__:
            if name != "versions":
                assert getattr(found, name) == getattr(facts, name)
        assert [repr(one) for one in found.versions.values()] == [
            repr(one) for one in facts.versions.values()
        ]
        assert [one.words for one in found.versions.values()] == [
            one.words for one in facts.versions.values()
        ]


def test_experiments__saved_and_read__are_equal():
    conditions = [{"attribute": "country", "operator": "in", "value": ["SE"]}]
    draft = make_draft(make_numbered(), tiers=("free",), conditions=conditions)
    experiments.start(draft, actor=ANN)
    before = config.load_experiments()

    dump, restore = config_on_disk.dump_experiments, config_on_disk.restore_experiments
    after = through_disk(before, dump, restore)

    assert Experiment.objects.get().key in {one.key for one in before.values()}
    assert after == before


@pytest.mark.parametrize("row", [{}, {"versions": [{}], "rollout": None}, {"more": 1}])
def test_prompts__of_another_release__are_an_error(row):
    with pytest.raises((KeyError, TypeError, ValueError)):
        config_on_disk.restore_prompts({"1": row})
    with pytest.raises((KeyError, TypeError, ValueError)):
        config_on_disk.restore_experiments({"1": row})
