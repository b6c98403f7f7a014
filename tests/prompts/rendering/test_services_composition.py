"""Prompts in prompts: what would break something in use is refused, by name."""

import pytest
from django.core.exceptions import ValidationError

from prompts import config, services
from prompts.models import Experiment
from prompts.rendering.render import PromptLibrary, choose, render
from prompts.services import composition
from tests.prompts.rows import ANN, make_prompt, move

pytestmark = pytest.mark.django_db


def said(key: str, **variables) -> str | None:
    shelf = PromptLibrary(config.prompts_by_key(config.load_prompts()))
    found = choose(shelf, key, subject="ann", context={})
    return render(shelf, found, variables).text


def refused(act, *args, **fields) -> str:
    with pytest.raises(ValidationError) as caught:
        act(*args, actor=ANN, **fields)
    return " ".join(caught.value.messages)


def add(prompt, template: str) -> None:
    services.add_version(prompt, template=template, actor=ANN)


def test_save__what_is_there__is_included():
    make_prompt("kindly, {{who}}", key="tone", production=1)

    make_prompt("Say it {{> tone}}.", key="p", production=1)

    assert said("p", who="Ann") == "Say it kindly, Ann."


def test_save__what_is_not_there__is_refused():
    make_prompt("x", key="unpublished")
    make_prompt("x", key="old", production=1)
    services.edit_prompt(make_prompt("x", key="gone", production=1), archived=True, actor=ANN)  # fmt: skip
    make_prompt(kind="chat", key="talk")
    prompt = make_prompt(key="p")

    def told(template: str) -> str:
        return refused(services.add_version, prompt, template=template)

    assert "no prompt 'none'" in told("{{> none}}")
    assert "the label 'production'" in told("{{> unpublished}}")
    assert "the label 'x'" in told("{{> old@x}}")
    assert "no version 2" in told("{{> old@2}}")
    assert "archived" in told("{{> gone}}")
    assert "talk" in told("{{> talk@latest}}")
    assert "includes itself (p -> p)" in told("{{> p@latest}}")
    assert not prompt.versions.exists()


def test_save__in_a_chat_prompt__names_the_messages():
    prompt = make_prompt(kind="chat")

    with pytest.raises(ValidationError) as caught:
        services.add_version(
            prompt, messages=[{"role": "user", "content": "{{> none}}"}], actor=ANN
        )

    assert list(caught.value.message_dict) == ["messages"]


def test_save__closing_a_circle__is_refused():
    make_prompt("x", key="a", production=1)
    make_prompt("{{> a}}", key="b", production=1)
    make_prompt("{{> b}}", key="c", production=1)
    first = make_prompt(key="d")
    add(first, "{{> c}}")

    found = refused(services.add_version, make_prompt(key="e"), template="{{> e}}")
    assert "(e -> e)" in found
    # A version of `a` that includes `c` is a circle, though nothing is published yet.
    a = config.Prompt.objects.get(key="a")
    assert "a -> c -> b -> a" in refused(services.add_version, a, template="{{> c}}")


def test_move__closing_a_circle__is_refused():
    """Each version was fine when it was saved; together they are not."""
    a = make_prompt("plain", key="a", production=1)
    b = make_prompt("plain", key="b", production=1)
    add(a, "{{> b}}")
    add(b, "{{> a}}")
    move(a, 2)

    assert "includes itself" in refused(
        services.move_label, b, "production", 2, expected=1
    )
    assert said("a") == "plain"


def test_move__making_those_above_too_deep__is_refused():
    deep = make_prompt("end", key="p0", production=1)
    for level in range(1, 6):
        make_prompt(f"{{{{> p{level - 1}}}}}", key=f"p{level}", production=1)
    make_prompt("x", key="more", production=1)

    found = refused(services.add_version, make_prompt(key="p6"), template="{{> p5}}")
    assert "nested more than 5 deep" in found
    # A version of the deepest one that goes deeper still makes the top too deep once
    # production moves to it; saving it is fine, for nothing points at it.
    add(deep, "{{> more}}")
    found = refused(services.move_label, deep, "production", 2, expected=1)
    assert "'p5' can't be put together" in found


def test_save__moving_latest__is_checked_as_a_move():
    tone = make_prompt("x", key="tone", production=1)
    make_prompt("{{> tone@latest}}", key="p", production=1)
    make_prompt("y", key="other", production=1)

    found = refused(services.add_version, tone, template="{{> p}}")
    assert "tone -> p -> tone" in found
    add(tone, "{{> other}}")
    assert said("p") == "y"


def test_remove_and_archive__what_others_include__is_refused():
    tone = make_prompt("x", key="tone", production=1)
    move(tone, 1, "spare")
    user = make_prompt("{{> tone}}", key="p", production=1)

    label = refused(services.remove_label, tone, "production")
    assert "'p' can't be put together: it includes tone." in label
    assert "'p'" in refused(services.edit_prompt, tone, archived=True)

    services.remove_label(tone, "spare", actor=ANN)
    services.edit_prompt(user, archived=True, actor=ANN)
    services.edit_prompt(tone, archived=True, actor=ANN)


def test_remove__included_by_versions_out_of_use__is_fine():
    tone = make_prompt("x", key="tone", production=1)
    user = make_prompt("{{> tone}}", key="p", production=1)
    add(user, "plain")
    move(user, 2)

    services.remove_label(tone, "production", actor=ANN)


@pytest.mark.parametrize("use", ["label", "rollout", "arm"])
def test_remove__included_by_any_version_in_use__is_refused(use):
    tone = make_prompt("x", key="tone", production=1)
    user = make_prompt("plain", "{{> tone}}", "newest", key="p", production=1)
    including = user.versions.get(number=2)
    if use == "label":
        move(user, 2, "canary")
    elif use == "rollout":
        services.start_rollout(user, 2, share=100, actor=ANN)
    else:
        run = Experiment.objects.create(key="e", prompt=user, state="running")
        run.arms.create(name="b", version=including, weight=10_000)

    assert "'p'" in refused(services.remove_label, tone, "production")


def broken_one():
    """A prompt that includes what is no longer there; nothing stops SQL."""
    tone = make_prompt("x", key="tone", production=1)
    user = make_prompt("{{> tone}}", "plain", key="p", production=2)
    tone.labels.all().delete()
    return tone, user


def test_move__to_what_is_broken_by_now__is_refused():
    _, user = broken_one()

    assert "'p'" in refused(services.move_label, user, "production", 1, expected=2)
    assert "'p'" in refused(services.rollback, user, to=1, reason="x")
    assert "'p'" in refused(services.start_rollout, user, 1, share=100)


def test_change__beside_what_is_broken_already__is_not_refused():
    tone, user = broken_one()
    user.labels.create(name="canary", version=user.versions.get(number=1))
    move(tone, 1, "staging")

    services.remove_label(tone, "staging", actor=ANN)

    with pytest.raises(ValidationError, match="'p'"):
        composition.check_all(["p", "tone"])
    composition.check_all(["tone"])


def test_stored__prompts__are_read_once():
    make_prompt("x", key="a", production=1)
    found = composition.StoredPrompts()

    assert found["a"] is found["a"]
    assert found.get("none") is None
    assert (list(found), len(found)) == (["a"], 1)
