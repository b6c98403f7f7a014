"""The prompts of the first run: there once, in production, and they can be rendered."""

import pytest

from prompts import config, samples, services
from prompts.models import Prompt
from prompts.rendering.render import PromptLibrary, choose, render
from prompts.transfer.prompt_files import read_prompt_files
from tests.prompts.rows import ANN, pointed_at

pytestmark = pytest.mark.django_db
BUSINESS = {"businessDescription": "SaaS platform", "industry": "Technology"}


def said(key: str, variables: dict[str, str], version: int | None = None) -> str:
    shelf = PromptLibrary(config.prompts_by_key(config.load_prompts()))
    found = choose(shelf, key, version=version, subject="ann", context={})
    messages = render(shelf, found, variables).messages
    return "\n".join(message["content"] for message in messages)


def test_samples__added__are_in_production_with_their_newest_version():
    assert samples.add() == ["canvas.generate", "style.plain", "support.answer"]

    for sample in read_prompt_files(samples.FOLDER):
        prompt = Prompt.objects.get(key=sample.key)
        assert pointed_at(prompt) == len(sample.versions) == prompt.versions.count()


def test_samples__added_again__are_left_as_they_are():
    prompt = services.create_prompt(key="canvas.generate", actor=ANN)

    assert samples.add() == ["style.plain", "support.answer"]
    assert samples.add() == []
    assert not prompt.versions.exists()


def test_samples__with_the_variables_that_they_ask_for__can_be_rendered():
    samples.add()

    canvas = said("canvas.generate", BUSINESS)
    assert "\nSaaS platform\n" in canvas
    assert "Industry: Technology" in canvas
    first = said("canvas.generate", BUSINESS, version=1)
    assert first == "Generate canvas for SaaS platform"
    answer = said("support.answer", {"product": "a bike", "question": "Why?"})
    assert "about a bike in English" in answer
    assert answer.endswith("Say nothing twice.\nWhy?")
