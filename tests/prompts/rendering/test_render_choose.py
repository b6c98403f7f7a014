"""Which version a request runs on: a pure function of library, subject and context."""

import pytest

from prompts.config import ArmFacts, RolloutFacts
from prompts.rendering.render import PromptLibrary, choose, find, version_of_label
from tests.prompts.shelf import experiment, library, prompt, version
from valuecanvas.core.errors import InvalidRequest, NotFound
from valuecanvas.core.targeting.bucketing import bucket

V1, V2, V3 = version(1, "one"), version(2, "two"), version(3, "three")
LABELS = {"production": 2, "staging": 3}
USERS = [f"user-{number}" for number in range(10_000)]


def chosen(shelf: PromptLibrary, subject: str = "ann", **asked):
    context = asked.pop("context", {})
    return choose(shelf, "p", subject=subject, context=context, **asked)


def refused(shelf: PromptLibrary, **asked) -> NotFound:
    with pytest.raises(NotFound) as caught:
        chosen(shelf, **asked)
    return caught.value


@pytest.fixture
def shelf() -> PromptLibrary:
    return library(prompt("p", V1, V2, V3, labels=LABELS))


@pytest.mark.parametrize(
    ("asked", "number", "label"),
    [
        ({}, 2, "production"),
        ({"label": "production"}, 2, "production"),
        ({"label": "staging"}, 3, "staging"),
        ({"label": "latest"}, 3, "latest"),
        ({"version": 1}, 1, ""),
    ],
)
def test_choose__by_label_or_version__gives_that_one(shelf, asked, number, label):
    found = chosen(shelf, **asked)

    assert (found.key, found.number, found.label) == ("p", number, label)
    assert (found.variant, found.model) == ("", "")


def test_choose__version_and_label__is_refused(shelf):
    with pytest.raises(InvalidRequest, match="not both"):
        chosen(shelf, version=1, label="staging")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"version": 9}, "prompt_version_not_found"),
        ({"label": "canary"}, "prompt_label_not_found"),
    ],
)
def test_choose__what_is_not_there__is_not_found(shelf, asked, code):
    error = refused(shelf, **asked)

    assert (error.status, error.code) == (404, code)


def test_choose__an_unknown_or_archived_prompt__is_not_found():
    old = library(prompt("p", V1, archived=True))

    assert refused(library()).code == "prompt_not_found"
    assert refused(old).code == "prompt_archived"
    assert refused(old, version=1).code == "prompt_archived"


def test_choose__nothing_published__is_not_found():
    assert refused(library(prompt("p", V1, labels={}))).code == "prompt_label_not_found"
    assert refused(library(prompt("p")), label="latest").status == 404


def test_find__and_labelled__give_facts(shelf):
    assert version_of_label(find(shelf, "p"), "staging") is V3


def rolled_out(share: int) -> PromptLibrary:
    rollout = RolloutFacts("7", 3, share, "rollout:7")
    return library(prompt("p", V1, V2, V3, labels=LABELS, rollout=rollout))


def test_rollout__a_share_of_users__gets_the_new_version():
    shelf = rolled_out(1000)

    found = {user: chosen(shelf, user) for user in USERS}

    new = [user for user in USERS if found[user].number == 3]
    assert 900 < len(new) < 1100
    assert {found[user].variant for user in new} == {"rollout-7:new"}
    stable = {found[user].variant for user in USERS if user not in set(new)}
    assert stable == {"rollout-7:stable"}


def test_rollout__as_it_grows__takes_nobody_back():
    before: set[str] = set()
    for share in (1, 100, 500, 2500, 9999):
        shelf = rolled_out(share)
        now = {user for user in USERS if chosen(shelf, user).number == 3}
        assert before <= now
        before = now


def test_rollout__explicit_label_or_version__is_left_alone():
    shelf = rolled_out(9999)

    assert chosen(shelf, version=1).number == 1
    assert chosen(shelf, version=2).variant == ""
    assert chosen(shelf, label="staging").variant == ""


ARMS = [ArmFacts("a", None, ""), ArmFacts("b", 3, "big-model")]


def under_test(**who) -> PromptLibrary:
    run = experiment("exp", "p", ARMS, {"a": 9000, "b": 1000}, **who)
    return library(prompt("p", V1, V2, V3, labels=LABELS), runs=[run])


def test_experiment__10_000_users_at_90_10__split_within_a_point_and_stick():
    shelf, again = under_test(), under_test()

    first = {user: chosen(shelf, user) for user in USERS}

    b = [user for user in USERS if first[user].variant == "exp:b"]
    assert 900 <= len(b) <= 1100
    for user in USERS:
        assert chosen(again, user).variant == first[user].variant
        in_b = bucket("experiment:exp", user) >= 9000
        assert first[user].variant == ("exp:b" if in_b else "exp:a")


def test_experiment__an_arm__gives_its_version_and_model():
    shelf = under_test()
    found = {one.variant: one for one in (chosen(shelf, user) for user in USERS[:200])}

    assert (found["exp:a"].number, found["exp:a"].model) == (2, "")
    assert (found["exp:b"].number, found["exp:b"].model) == (3, "big-model")


def test_experiment__explicit_label_or_version__is_left_alone():
    shelf = under_test()

    assert {chosen(shelf, user, label="staging").variant for user in USERS[:50]} == {""}
    assert {chosen(shelf, user, version=2).variant for user in USERS[:50]} == {""}


def test_experiment__not_about_this_caller__gives_production():
    swedes = {"attribute": "country", "operator": "equals", "value": "SE"}
    shelf = under_test(tiers=["pro"], conditions=[swedes])
    swede = {"tier": "pro", "country": "SE"}

    assert chosen(shelf, context={"tier": "free", "country": "SE"}).variant == ""
    assert chosen(shelf, context={"tier": "pro"}).variant == ""
    assert chosen(shelf, context=swede).variant.startswith("exp:")


def test_experiment__buckets_of_nobody__give_production():
    run = experiment("exp", "p", ARMS, {"a": 0, "b": 5000})
    shelf = library(prompt("p", V1, V2, V3, labels=LABELS), runs=[run])

    found = {chosen(shelf, user).variant for user in USERS[:200]}

    assert found == {"", "exp:b"}
