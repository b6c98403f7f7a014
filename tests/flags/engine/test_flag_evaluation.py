"""Evaluation: order, reasons, stickiness, and buckets that never move."""

import random
from collections import Counter

import pytest

from flags.engine.evaluation import evaluate, evaluate_all
from flags.engine.flag_facts import ChangeFacts, VariantFacts
from tests.flags.facts import colours, make_facts, make_rule, make_set
from valuecanvas.core.targeting.bucketing import (
    BUCKETS,
    allocate,
    bucket,
    load_allocation,
)

SUBJECTS = [f"user-{number}" for number in range(100_000)]
ALICE = {"targetingKey": "alice", "user": "alice", "tier": "pro", "team": "blue"}
PRO = ("tier", "equals", "pro")


def ask(facts, context=ALICE, default=None, now=None):
    return evaluate(make_set(facts), facts.name, context, default, now=now)


def shape(found):
    return found.variant, found.value, found.reason


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("off", False, "DEFAULT")),
        ({"share": BUCKETS}, ("on", True, "STATIC")),
        ({"everyone": True}, ("on", True, "STATIC")),
        ({"user_ids": ("alice",)}, ("on", True, "TARGETING_MATCH")),
        ({"tiers": ("pro",)}, ("on", True, "TARGETING_MATCH")),
        ({"tiers": ("free",)}, ("off", False, "DEFAULT")),
        ({"rules": (make_rule(PRO),)}, ("on", True, "TARGETING_MATCH")),
        ({"rules": (make_rule(PRO, variant="off"),), "share": BUCKETS}, ("off", False, "TARGETING_MATCH")),
        ({"default_variant": "on"}, ("on", True, "DEFAULT")),
        ({"kill": "", "everyone": True, "user_ids": ("alice",)}, ("off", False, "DISABLED")),
        ({"kill": "x", "off_variant": "on"}, ("on", True, "DISABLED")),
        ({"enabled": False, "everyone": True}, ("off", False, "DISABLED")),
        ({"everyone": False, "share": BUCKETS}, ("off", False, "DISABLED")),
        ({"user_ids": ("alice",), "rules": (make_rule(PRO, variant="off"),)}, ("on", True, "TARGETING_MATCH")),
        ({"user_ids": ("alice",), "target_variant": "off"}, ("off", False, "TARGETING_MATCH")),
    ],
)  # fmt: skip
def test_boolean_flag__each_step__decides_in_its_order(fields, expected):
    assert shape(ask(make_facts(**fields), default="mine")) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"share": 0}, ("", "mine", "DEFAULT")),
        ({"share": 0, "default_variant": "red"}, ("red", "red", "DEFAULT")),
        ({"enabled": False}, ("", "mine", "DISABLED")),
        ({"enabled": False, "off_variant": "red"}, ("red", "red", "DISABLED")),
        ({"rules": (make_rule(PRO, variant="red"),)}, ("red", "red", "TARGETING_MATCH")),
        ({"user_ids": ("alice",), "target_variant": "gone"}, ("", "mine", "TARGETING_MATCH")),
        ({"allocation": ()}, ("", "mine", "STATIC")),
    ],
)  # fmt: skip
def test_text_flag__without_a_variant__gives_the_callers_default(fields, expected):
    facts = make_facts(**{**colours(blue=10_000, red=0), **fields})
    assert shape(ask(facts, default="mine")) == expected


def test_evaluation__missing_flag__the_callers_default():
    found = evaluate(make_set(), "nothing", ALICE, "mine")
    assert shape(found) == ("", "mine", "ERROR")
    assert found.error == "FLAG_NOT_FOUND"
    assert not found.is_included


@pytest.mark.parametrize("context", [{}, {"targetingKey": ""}, {"targetingKey": True}, {"targetingKey": [1]}])  # fmt: skip
@pytest.mark.parametrize(
    "fields",
    [
        {"share": 5000},
        colours(blue=5000, red=5000),
        {"rules": (make_rule(share=5000),)},
    ],
)
def test_evaluation__nobody_to_bucket__an_error_and_the_default(context, fields):
    found = ask(make_facts(**fields), context, "mine")
    assert shape(found) == ("", "mine", "ERROR")
    assert found.error == "TARGETING_KEY_MISSING"


def test_evaluation__nobody_but_no_bucket_needed__answers():
    facts = make_facts(share=BUCKETS)
    assert ask(facts, {}).value is True


def test_sticky__another_attribute__all_of_a_team_the_same():
    facts = make_facts(share=5000, sticky="team")
    for team in ("red", "blue", 7):
        answers = {
            ask(facts, {"targetingKey": subject, "team": team}).value
            for subject in SUBJECTS[:50]
        }
        assert len(answers) == 1


def test_rule__outside_its_share__the_next_one_decides():
    rules = (
        make_rule(PRO, share=5000, variant="on", label="half"),
        make_rule(label="rest", variant="off"),
    )
    facts = make_facts(rules=rules)
    found = Counter(
        (one.rule, one.reason)
        for one in (ask(facts, {**ALICE, "targetingKey": s}) for s in SUBJECTS[:2000])
    )
    assert found.keys() == {("half", "SPLIT"), ("rest", "TARGETING_MATCH")}


def test_rule__not_understood__fits_nobody_and_the_rest_works():
    rules = (make_rule(("tier", "sounds_like", "pro")), make_rule(PRO, label="good"))
    assert ask(make_facts(rules=rules)).rule == "good"


def test_prerequisites__in_a_circle__off_and_not_for_ever():
    a = make_facts("a", share=BUCKETS, prerequisites=(("b", "on"),))
    b = make_facts("b", share=BUCKETS, prerequisites=(("a", "on"),))
    found = evaluate(make_set(a, b), "a", ALICE)
    assert shape(found) == ("off", False, "DISABLED")


def test_explanation__shares_and_weights__names_the_buckets():
    fields = {**colours(blue=10_000), "share": 9999}
    found = ask(make_facts(**fields))
    assert f"Bucket {bucket('flag:a-flag', 'alice')} of 10,000." in found.explanation
    assert f"{bucket('flag:a-flag:variant', 'alice')} of the w" in found.explanation


def test_schedule__by_the_clock__counts_from_its_time():
    steps = (
        ChangeFacts(100.0, "set_percent", {"percent": "50"}),
        ChangeFacts(200.0, "disable", {}),
        ChangeFacts(300.0, "enable", {}),
        ChangeFacts(400.0, "kill", {}),
        ChangeFacts(500.0, "enable", {}),
    )
    facts = make_facts(rules=(make_rule(PRO),), schedule=steps)
    answers = [ask(facts, now=at).reason for at in (99, 100, 200, 300, 400, 500)]
    assert answers == [
        "TARGETING_MATCH",
        "TARGETING_MATCH",
        "DISABLED",
        "TARGETING_MATCH",
        "DISABLED",
        "DISABLED",
    ]
    share = [
        sum(ask(facts, {"user": s}, now=at).value for s in SUBJECTS[:1000])
        for at in (99, 150)
    ]
    assert share[0] == 0
    assert 440 < share[1] < 560
    assert ask(facts).reason == "DISABLED"  # now, by the clock


def test_schedule__weights__moved_as_the_worker_will():
    fields = colours(blue=5000, red=5000)
    step = ChangeFacts(100.0, "set_weights", {"weights": {"blue": 9000, "red": 1000}})
    facts = make_facts(**fields, schedule=(step,))
    before = [ask(facts, {"user": s}, now=1).variant for s in SUBJECTS[:2000]]
    after = [ask(facts, {"user": s}, now=100).variant for s in SUBJECTS[:2000]]
    moved = {(a, b) for a, b in zip(before, after, strict=True) if a != b}
    assert moved == {("red", "blue")}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("set_weights", {"weights": {"green": 1}}),
        ("set_weights", {"weights": {"blue": 99_999}}),
        ("set_weights", {}),
        ("set_weights", {"weights": 7}),
        ("set_percent", {"percent": "much"}),
        ("set_percent", {}),
    ],
)
def test_schedule__a_change_that_does_not_fit__changes_nothing(kind, payload):
    facts = make_facts(
        **colours(blue=10_000), schedule=(ChangeFacts(1, kind, payload),)
    )
    assert ask(facts).value == "blue"


def test_mark__epoch_or_a_due_change__another_one():
    step = ChangeFacts(100.0, "enable", {})
    flags = make_set(make_facts(schedule=(step,)))
    assert flags.version_at(99) == flags.version_at(1) == "1.0"
    assert flags.version_at(100) == "1.1"
    assert make_set(epoch=2).version_at(1) == "2.0"


def test_flag_set__several__in_the_order_of_their_names():
    flags = make_set(make_facts("b", in_gateway=True), make_facts("a"))
    assert (list(flags), len(flags), flags.in_gateway) == (["a", "b"], 2, ("b",))
    assert [one.key for one in evaluate_all(flags, ALICE)] == ["a", "b"]
    assert [one.key for one in evaluate_all(flags, ALICE, ["b", "c"])] == ["b", "c"]
    assert flags.get("c") is None


def test_effect__of_a_variant__or_none():
    variant = VariantFacts("on", True, {"model": "big"})
    facts = make_facts(variants=(variant,))
    assert (facts.effect("on"), facts.effect("off")) == ({"model": "big"}, {})


# The contract with every SDK and release: these numbers never change.
VECTORS = [
    ("new_canvas_ui", "alice", 2631, 5838),
    ("new_canvas_ui", "bob", 7634, 7791),
    ("gateway.cache", "alice", 5693, 1975),
    ("new_canvas_ui", "Zoë 🎈", 8932, 5842),
    ("new_canvas_ui", "550e8400-e29b-41d4-a716-446655440000", 2871, 8137),
]


@pytest.mark.parametrize(("name", "subject", "share", "variant"), VECTORS)
def test_buckets__known_subjects__are_pinned(name, subject, share, variant):
    fields = {**colours(blue=5000, red=5000), "share": 9999}
    found = ask(make_facts(name, **fields), {"targetingKey": subject})
    assert (found.bucket, found.variant_bucket) == (share, variant)
    assert found.variant == ("blue" if variant < 5000 else "red")


@pytest.mark.parametrize("percent", [1, 10, 25, 50, 90])
def test_percentage__100_000_subjects__within_half_a_point(percent):
    facts = make_facts(f"share-{percent}", share=percent * 100)
    on = sum(ask(facts, {"user": subject}).value for subject in SUBJECTS)
    assert abs(on / 1000 - percent) <= 0.5


def test_weights__100_000_subjects__within_half_a_point():
    facts = make_facts(**colours(blue=5000, red=3000, green=1550, gold=450))
    found = Counter(ask(facts, {"user": subject}).variant for subject in SUBJECTS)
    for name, weight in {"blue": 50, "red": 30, "green": 15.5, "gold": 4.5}.items():
        assert abs(found[name] / 1000 - weight) <= 0.5


def test_percentage__raised__the_first_keep_it_and_their_variants():
    fields = colours(blue=5000, red=5000)
    ten = make_facts(**{**fields, "share": 1000})
    twenty = make_facts(**{**fields, "share": 2000})
    first = {s: ask(ten, {"user": s}) for s in SUBJECTS}
    kept = {s: one.variant for s, one in first.items() if one.is_included}
    assert {s: ask(twenty, {"user": s}).variant for s in kept} == kept


def test_weights__one_raised__nobody_leaves_it():
    before = allocate({"blue": 2000, "red": 8000})
    after = allocate({"blue": 5000, "red": 5000}, before)
    old = make_facts(**{**colours(blue=1, red=1), "allocation": before})
    new = make_facts(**{**colours(blue=1, red=1), "allocation": after})
    for subject in SUBJECTS[:20_000]:
        was, now = (ask(one, {"user": subject}).variant for one in (old, new))
        assert now == was or (was, now) == ("red", "blue")


def test_two_flags__both_at_half__not_correlated():
    one, two = make_facts("one", share=5000), make_facts("two", share=5000)
    both = Counter(
        (ask(one, {"user": s}).value, ask(two, {"user": s}).value) for s in SUBJECTS
    )
    assert all(abs(count / 1000 - 25) <= 0.7 for count in both.values())
    # In and which variant: no more than between flags.
    split = make_facts(**{**colours(blue=5000, red=5000), "share": 5000})
    got = [ask(split, {"user": s}) for s in SUBJECTS]
    inside = Counter(one.variant for one in got if one.is_included)
    assert abs(inside["blue"] / sum(inside.values()) - 0.5) <= 0.01


def test_evaluation__any_context__never_raises():
    values = [None, True, 0, -1.5, float("nan"), "x", "\ud800", b"x", [], [[1]], {}, {"a": 1}, object()]  # fmt: skip
    conditions = [("a", op, v) for op, v in [("in", ["x", 1]), ("not_in", [True]), ("gt", 1), ("lt", "m"), ("contains", "x"), ("not_contains", 1), ("matches", "x+"), ("starts_with", "x"), ("semver_gt", "1.2.3"), ("exists", False)]]  # fmt: skip
    rules = tuple(make_rule(one) for one in conditions)
    facts = make_facts(rules=rules, share=5000, user_ids=("u",), tiers=("t",))
    dice = random.Random(7)
    for _ in range(3000):
        context = {name: dice.choice(values) for name in ("a", "user", "tier", "targetingKey", "django")}  # fmt: skip
        assert ask(facts, context).reason


def test_allocation__as_json_keeps_it__the_same_answers():
    spans = [["blue", 0, 5000], ["red", 5000, 10_000]]
    facts = make_facts(
        **{**colours(blue=1, red=1), "allocation": load_allocation(spans)}
    )
    again = make_facts(**colours(blue=5000, red=5000))
    for subject in SUBJECTS[:1000]:
        assert ask(facts, {"user": subject}) == ask(again, {"user": subject})
