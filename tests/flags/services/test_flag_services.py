"""Services of flags: one change, one event, the epoch moved."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.utils import timezone

from flags import services
from flags.documents.document import state
from flags.documents.validation import check_value
from flags.models import Flag, FlagEvent, Rule, Variant
from tests.flags.rows import ADA, BOB, ask, current, make_colours, make_flag
from valuecanvas.core.db import epoch
from valuecanvas.core.errors import Conflict

pytestmark = pytest.mark.django_db


def actions(flag: Flag) -> list[str]:
    return [event.action for event in flag.events.order_by("id")]


def test_flag__created_and_changed__an_event_each():
    flag = make_flag(percent=10)
    flag = services.set_percent(flag, 20, actor=BOB, reason="More")
    flag = services.disable(flag, actor=BOB)
    flag = services.enable(flag, actor=BOB)
    assert actions(flag) == ["created", "percent", "disabled", "enabled"]
    event = flag.events.get(action="percent")
    assert (event.actor_name, event.reason, event.revision) == ("bob", "More", 2)
    assert (event.before["percent"], event.after["percent"]) == (10, 20)
    assert flag.revision == 4


def test_change__nothing_differs__no_event():
    flag = make_flag(percent=10)
    before = epoch.current()
    flag = services.edit_flag(flag, {"percent": 10, "note": ""}, actor=BOB)
    assert (flag.revision, actions(flag)) == (1, ["created"])
    assert epoch.current() == before


def test_change__somebody_was_first__conflict_names_them():
    flag = make_flag(percent=10)
    services.set_percent(flag, 20, actor=BOB, expected=1)
    with pytest.raises(Conflict) as caught:
        services.set_percent(flag, 30, actor=ADA, expected=1)
    assert "by bob" in caught.value.message
    assert caught.value.extra["revision"] == 2
    assert Flag.objects.get().percent == Decimal(20)


def test_kill__enabled_for_everyone__off_until_revived():
    flag = make_flag(percent=100)
    assert ask(flag, user="u").value is True
    flag = services.kill(flag, actor=BOB, reason="It burns")
    found = ask(flag, user="u")
    assert (found.value, found.reason) == (False, "DISABLED")
    assert "It burns" in found.explanation
    services.kill(flag, actor=ADA, reason="Again")
    assert Flag.objects.get().killed_by == "bob"
    flag = services.revive(flag, actor=BOB)
    assert ask(flag, user="u").value is True
    assert actions(flag) == ["created", "killed", "revived"]


def test_kill__flag_with_an_old_name__not_refused():
    flag = Flag.objects.create(name="an old name!", everyone=True)
    services.kill(flag, actor=BOB)
    assert ask(flag).value is False


def test_revert__to_an_earlier_event__all_of_that_state():
    flag = make_colours(blue=5000, red=5000)
    rule = {"conditions": [{"attribute": "tier", "operator": "equals", "value": "pro"}], "variant": "red"}  # fmt: skip
    flag = services.add_rule(flag, rule, actor=ADA)
    known = state(flag)
    event = flag.events.first()
    flag = services.set_weights(flag, {"blue": 10_000}, actor=BOB)
    flag = services.edit_flag(
        flag, {"rules": [], "note": "x", "tiers": ["pro"]}, actor=BOB
    )
    flag = services.revert(event, actor=ADA, reason="Better before")
    assert state(flag) == known
    assert flag.events.first().details["to_event"] == event.pk


def test_revert__flag_is_gone__says_so():
    flag = make_flag()
    services.delete_flag(flag, actor=ADA)
    with pytest.raises(ValidationError, match="is deleted"):
        services.revert(FlagEvent.objects.last(), actor=ADA)


def test_delete__some_flag__its_events_stay():
    flag = make_flag("old")
    with pytest.raises(Conflict):
        services.delete_flag(flag, actor=ADA, expected=7)
    services.delete_flag(flag, actor=ADA, reason="Done", expected=1)
    assert not Flag.objects.exists()
    last = FlagEvent.objects.first()
    assert (last.flag_name, last.action, last.flag) == ("old", "deleted", None)
    with pytest.raises(ValidationError, match="has been deleted"):
        services.disable(flag, actor=ADA)


def test_events__changed_or_deleted__the_database_refuses():
    make_flag()
    for statement in (
        "UPDATE feature_flag_events SET reason = 'x'",
        "DELETE FROM feature_flag_events",
    ):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_archive__and_restore__unknown_meanwhile():
    flag = make_flag(percent=100)
    flag = services.archive(flag, actor=ADA)
    assert ask(flag, default="mine").error == "FLAG_NOT_FOUND"
    flag = services.restore(flag, actor=ADA)
    assert ask(flag).value is True


def test_delete__a_flag_that_another_needs__refused():
    base = make_flag("base", percent=100)
    make_flag("above", percent=100, prerequisites=[{"flag": "base"}])
    for act in (services.delete_flag, services.archive):
        with pytest.raises(ValidationError, match="needed by above"):
            act(base, actor=ADA)


def test_prerequisite__not_given__off():
    base = make_flag("base", percent=100)
    above = make_flag("above", percent=100, prerequisites=[{"flag": "base"}])
    assert ask(above).value is True
    services.disable(base, actor=ADA)
    found = ask(above)
    assert (found.value, found.reason) == (False, "DISABLED")


def test_prerequisite__set_later__counts():
    base, above = make_flag("base"), make_flag("above", percent=100)
    above = services.set_prerequisites(above, [{"flag": base.name}], actor=ADA)
    assert (ask(above).value, actions(above)[-1]) == (False, "prerequisites")


def test_weights__one_of_them_changed__the_others_stay():
    flag = make_colours(blue=5000, red=3000)
    flag = services.set_weights(flag, {"blue": 5000, "red": 5000}, actor=ADA)
    assert {one.name: one.weight for one in flag.variants.all()} == {"blue": 5000, "red": 5000}  # fmt: skip


def test_prerequisite__a_circle__refused():
    make_flag("a")
    make_flag("b", prerequisites=[{"flag": "a"}])
    c = make_flag("c", prerequisites=[{"flag": "b"}])
    a = Flag.objects.get(name="a")
    with pytest.raises(ValidationError, match="depend on itself"):
        services.set_prerequisites(a, [{"flag": "c"}], actor=ADA)
    for wrong, text in (("a", "itself"), ("nowhere", "no flag 'nowhere'")):
        with pytest.raises(ValidationError, match=text):
            services.set_prerequisites(a, [{"flag": wrong}], actor=ADA)
    with pytest.raises(ValidationError, match="no variant 'blue'"):
        services.set_prerequisites(c, [{"flag": "b", "variant": "blue"}], actor=ADA)


def test_prerequisite__a_long_chain__refused():
    make_flag("f0")
    for number in range(1, 6):
        make_flag(f"f{number}", prerequisites=[{"flag": f"f{number - 1}"}])
    with pytest.raises(ValidationError, match="at most 5"):
        make_flag("f6", prerequisites=[{"flag": "f5"}])


def test_variant__that_another_flag_needs__stays():
    base = make_colours("base", blue=5000, red=5000)
    make_flag("above", prerequisites=[{"flag": "base", "variant": "blue"}])
    with pytest.raises(ValidationError, match="'above' needs"):
        services.set_variants(base, [{"name": "red", "value": "r"}], actor=ADA)
    assert base.variants.count() == 2


def test_rules__added_moved_edited_removed__in_their_order():
    flag = make_flag()
    pro = {"name": "pro", "conditions": [{"attribute": "tier", "operator": "equals", "value": "pro"}], "variant": "on"}  # fmt: skip
    flag = services.add_rule(flag, pro, actor=ADA)
    flag = services.add_rule(flag, {"name": "first", "share": 100}, at=0, actor=ADA)
    first, second = flag.rules.all()
    assert (first.name, second.name) == ("first", "pro")
    flag = services.reorder_rules(flag, [second.pk, first.pk], actor=ADA)
    assert [rule.name for rule in flag.rules.all()] == ["pro", "first"]
    assert ask(flag, tier="pro", user="u").rule == "pro"
    flag = services.edit_rule(flag, second, {"enabled": False}, actor=ADA)
    assert ask(flag, tier="pro", user="u").rule != "pro"
    flag = services.remove_rule(flag, second, actor=ADA)
    assert [(rule.name, rule.order) for rule in flag.rules.all()] == [("first", 0)]
    same = [rule.pk for rule in flag.rules.all()]
    assert services.reorder_rules(flag, same, actor=ADA).revision == flag.revision
    with pytest.raises(ValidationError, match="no such rule"):
        services.remove_rule(flag, second, actor=ADA)
    with pytest.raises(ValidationError, match="each rule"):
        services.reorder_rules(flag, [second.pk], actor=ADA)
    assert actions(flag)[1:] == ["rule_added", "rule_added", "rules_ordered", "rule_edited", "rule_removed"]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "other"}, "name"),
        ({"nothing": 1}, "nothing"),
        ({"percent": 101}, "percent"),
        ({"percent": "much"}, "percent"),
        ({"percent": 1.234}, "percent"),
        ({"percent": True}, "percent"),
        ({"owner": "nobody"}, "owner"),
        ({"owner": 7}, "owner"),
        ({"users": ["nobody"]}, "users"),
        ({"groups": ["nobody"]}, "groups"),
        ({"groups": "Operators"}, "groups"),
        ({"expires_on": "soon"}, "expires_on"),
        ({"default_variant": "blue"}, "default_variant"),
        ({"rules": [{"variant": "blue"}]}, "rules"),
        ({"rules": [{"conditions": [{"attribute": "a"}]}]}, "rules"),
        ({"rules": [{"colour": "blue"}]}, "rules"),
        ({"rules": ["blue"]}, "rules"),
        ({"rules": {}}, "rules"),
        ({"variants": [{"name": "on", "value": "yes"}]}, "variants"),
        ({"variants": [{"name": "on", "value": True, "effect": {"x": 1}}]}, "variants"),
        ({"variants": [{"name": "on", "value": True}] * 2}, "variants"),
        ({"variants": [{"name": "on", "value": True, "weight": 10_001}]}, "variants"),
        ({"purpose": "fun"}, "purpose"),
        ({"enabled": "maybe"}, "enabled"),
    ],
)
def test_edit__what_cannot_be__says_which_field(changes, field):
    flag = make_flag()
    with pytest.raises(ValidationError) as caught:
        services.edit_flag(flag, changes, actor=ADA)
    assert field in caught.value.message_dict
    assert (Flag.objects.get().revision, actions(flag)) == (1, ["created"])


def test_weights__past_everyone__refused():
    flag = make_colours(blue=5000, red=5000)
    for weights, text in (
        ({"blue": 9000, "red": 2000}, "pass 100 %"),
        ({"green": 1}, "no variant 'green'"),
        ({"blue": 0.5}, "whole number"),
        ([], "object"),
    ):
        with pytest.raises(ValidationError, match=text):
            services.set_weights(flag, weights, actor=ADA)


def test_create__taken_or_wrong_name__refused():
    make_flag("taken")
    for wrong in ({"name": "taken"}, {"name": "two words"}, {}):
        with pytest.raises(ValidationError) as caught:
            services.create_flag(wrong, actor=ADA)
        assert "name" in caught.value.message_dict
    with pytest.raises(ValidationError):
        services.create_flag({"name": "x", "kind": "colour"}, actor=ADA)


def test_enable__off_for_everyone_by_waffle__that_goes():
    flag = make_flag(percent=100, everyone=False)
    assert ask(flag).value is False
    flag = services.enable(flag, actor=ADA)
    assert (flag.everyone, ask(flag).value) == (None, True)


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [("string", "x", 1), ("number", 2.5, True), ("object", {"a": [1]}, "x")],
)
def test_values__of_each_kind__kept(kind, value, wrong):
    flag = make_flag(kind=kind, variants=[{"name": "a", "value": value, "weight": 10_000}])  # fmt: skip
    assert ask(flag, user="u").value == value
    with pytest.raises(ValidationError, match=f"{kind} flag"):
        services.set_variants(flag, [{"name": "a", "value": wrong}], actor=ADA)


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        ([], "An effect is an object"),
        ({"colour": "red"}, "'colour' is not known"),
        ({"model": 7}, "'model' is a text"),
        ({"model": ""}, "'model' is a text"),
        ({"parameters": "hot"}, "'parameters' is an object"),
        ({"parameters": {"max_tokens": 1.5}}, "'max_tokens' must be a whole number"),
        ({"parameters": {"x": "y" * 70_000}}, "At most 65,536"),
    ],
)
def test_effect__not_understood__refused(effect, text):
    flag = make_flag()
    with pytest.raises(ValidationError, match=text):
        services.set_variants(
            flag, [{"name": "on", "value": True, "effect": effect}], actor=ADA
        )


def test_value__that_json_cannot_keep__refused():
    deep = []
    for _ in range(2000):
        deep = [deep]
    assert check_value("object", deep) == "This cannot be kept as JSON."
    assert check_value("number", float("nan")) != ""
    assert check_value("number", 10**5) == ""


def test_effect__of_a_variant__in_the_facts():
    effect = {"prompt_label": "next", "model": "big", "parameters": {"temperature": 0}}
    rows = [{"name": "on", "value": True, "effect": effect}]
    flag = make_flag(percent=100, variants=rows)
    facts = current().get(flag.name)
    assert facts.effect(ask(flag).variant) == effect


def test_rows__for_people__say_what_they_are():
    base = make_flag("base")
    rules = [{"name": "First"}, {}]
    flag = make_flag("above", prerequisites=[{"flag": "base"}], rules=rules)
    change = services.schedule(
        flag, "enable", at=timezone.now() + dt.timedelta(days=1), actor=ADA
    )
    assert [str(rule) for rule in flag.rules.all()] == ["First", "Rule 2"]
    assert str(flag.prerequisites.get()) == "base is on"
    assert str(change).startswith("Enable of above at 20")
    assert str(flag.events.last()) == "Created by ada"
    assert str(make_colours("c", blue=10_000).variants.get()) == "blue"
    assert str(base) == "base"


def test_conflict__nobody_recorded__still_refused():
    flag = Flag.objects.create(name="by-hand")
    with pytest.raises(Conflict, match="was changed meanwhile"):
        services.disable(flag, actor=ADA, expected=7)


def test_rows__wrong_by_hand__their_own_checks_say_so():
    flag = make_flag()
    with pytest.raises(ValidationError, match="Conditions are a list"):
        Rule(flag=flag, order=0, conditions={"a": 1}).full_clean()
    with pytest.raises(ValidationError, match="true or false"):
        Variant(flag=flag, name="on", value="yes").full_clean()
