"""The page of a flag: its parts are saved one by one, checked, and never overwritten."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flags import services
from flags.models import Flag
from tests.flags.rows import ADA, BOB, ask, make_colours, make_flag

pytestmark = pytest.mark.django_db


def page(flag: Flag, name: str = "change") -> str:
    return f"/admin/flags/flag/{flag.pk}/{name}/"


def save(client: Client, flag: Flag, section: str, **fields: Any) -> Any:
    """The form of a part of the page, as one who has just seen it sends it."""
    seen = Flag.objects.get(pk=flag.pk).revision
    form = {"section": section, "reason": "Because", "expected": seen, **fields}
    return client.post(page(flag), form)


def rows(**values: list[str]) -> dict[str, list[str]]:
    """Columns of variants; those not named are empty."""
    count = len(values["name"])
    names = ("name", "value", "weight", "label", "model", "parameters", "description")
    return {f"variant_{n}": values.get(n, [""] * count) for n in names}


def test_percent__saved__with_its_reason(operator: Client) -> None:
    flag = make_flag(percent=10)
    answer = save(operator, flag, "rollout", percent="33.25")
    assert answer.headers["location"].endswith("/change/#rollout")
    event = flag.events.first()
    assert (event.action, event.actor_name, event.reason) == ("percent", "olga", "Because")  # fmt: skip
    assert Flag.objects.get().share == 3325


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"percent": ""}, "Enter a percentage"),
        ({"percent": "many"}, "A percentage is a number"),
        ({"percent": "101"}, "less than or equal to 100"),
        ({"percent": "20", "reason": ""}, "Give a reason"),
    ],
)
def test_percent__wrong__field_and_remedy_are_told(
    operator: Client, fields: dict[str, str], said: str
) -> None:
    flag = make_flag(percent=10)
    answer = save(operator, flag, "rollout", **fields)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert Flag.objects.get().share == 1000


@pytest.mark.parametrize("section", ["rollout", "variants", "audience", "needs"])
def test_save__somebody_was_faster__told_who_and_nothing_is_done(
    operator: Client, section: str
) -> None:
    flag = make_colours(blue=10_000)
    services.set_percent(flag, 60, actor=BOB, reason="Black Friday")
    fields = {"percent": "30", **rows(name=["red"], value=["r"], weight=["100"])}
    answer = save(operator, flag, section, expected=flag.revision, **fields)
    assert answer.status_code == 409
    text = answer.content.decode()
    for said in ("bob changed the flag first", "Black Friday", "60\u00a0%"):
        assert said in text
    assert Flag.objects.get().share == 6000
    # Sent again from the page that told, it counts.
    form = answer.context["forms"][section]
    assert form.data["expected"] == str(Flag.objects.get().revision)


def test_save__unknown_part__nothing_happens(operator: Client) -> None:
    flag = make_flag()
    assert save(operator, flag, "nonsense").status_code == 422
    assert flag.events.count() == 1


def test_page__auditor__reads_and_saves_nothing(auditor: Client) -> None:
    flag = make_colours(blue=10_000)
    text = auditor.get(page(flag)).content.decode()
    assert "blue" in text
    assert "Set the percentage" not in text
    assert save(auditor, flag, "rollout", percent="5").status_code == 403
    assert auditor.get(page(flag, "details")).status_code == 403


def test_page__more_of_everything__no_more_queries(boss: Client) -> None:
    flag = make_colours(blue=10_000)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert boss.get(page(flag)).status_code == 200
        return len(found)

    queries()
    before = queries()
    for number in range(5):
        make_flag()
        services.add_rule(flag, {"name": f"r{number}", "variant": "blue"}, actor=ADA)
    assert queries() == before
    assert before <= 40


# -- variants ------------------------------------------------------------------------


def test_variants__replaced__with_values_weights_and_effects(
    operator: Client,
) -> None:
    flag = make_flag(kind="string")
    fields = rows(
        name=["blue", "red"],
        value=["b", "r"],
        weight=["62.5", "37.5"],
        label=["", "staging"],
        model=["", "gpt-x"],
        parameters=["", '{"temperature": 0}'],
    )
    save(operator, flag, "variants", default_variant="blue", off_variant="", **fields)
    flag.refresh_from_db()
    assert flag.default_variant == "blue"
    assert [(one.name, one.value, one.weight) for one in flag.variants.order_by("pk")] == [("blue", "b", 6250), ("red", "r", 3750)]  # fmt: skip
    assert flag.variants.get(name="red").effect == {"prompt_label": "staging", "model": "gpt-x", "parameters": {"temperature": 0}}  # fmt: skip


def test_variants__only_the_weights_differ__is_told_so_in_the_history(
    operator: Client,
) -> None:
    flag = make_colours(blue=5000, red=5000)
    fields = rows(name=["blue", "red"], value=["blue", "red"], weight=["20", "80"])
    save(operator, flag, "variants", **fields)
    assert flag.events.first().action == "weights"
    fields = rows(name=["blue", "red"], value=["blue", "rouge"], weight=["20", "80"])
    save(operator, flag, "variants", **fields)
    assert flag.events.first().action == "variants"


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("string", {"name": ["a", "b"], "value": ["1", "2"], "weight": ["50", "40"]}, "add up to 90 %"),
        ("string", {"name": [""], "value": ["x"], "weight": ["100"]}, "Name: enter a name"),
        ("string", {"name": ["a"], "value": ["x"], "weight": ["lots"]}, "Weight: enter a percentage"),
        ("string", {"name": ["a", "a"], "value": ["x", "y"], "weight": ["50", "50"]}, "have the same name"),
        ("string", {"name": ["a b"], "value": ["x"], "weight": ["100"]}, "Use letters"),
        ("number", {"name": ["a"], "value": ["five"], "weight": ["100"]}, "this is not JSON"),
        ("number", {"name": ["a"], "value": ['"5"'], "weight": ["100"]}, "is a number"),
        ("object", {"name": ["a"], "value": ["7"], "weight": ["100"]}, "an object or a list"),
        ("string", {"name": ["a"], "value": ["x"], "weight": ["100"], "parameters": ["{"]}, "Parameters: this is not JSON"),
    ],
)  # fmt: skip
def test_variants__wrong__told_beside_them_and_kept_as_entered(
    operator: Client, kind: str, fields: dict[str, list[str]], said: str
) -> None:
    flag = make_flag(kind=kind)
    answer = save(operator, flag, "variants", **rows(**fields))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert [row.name for row in answer.context["forms"]["variants"].rows] == fields["name"]  # fmt: skip
    assert not flag.variants.exists()


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("boolean", "true", True), ("number", "2.5", 2.5), ("object", '{"a": [1]}', {"a": [1]})],
)  # fmt: skip
def test_variants__of_each_kind__keep_their_type_and_are_shown_again(
    operator: Client, kind: str, text: str, value: Any
) -> None:
    flag = make_flag(kind=kind)
    fields = rows(name=["a"], value=[text], weight=["100"])
    save(operator, flag, "variants", **fields)
    assert flag.variants.get().value == value
    [row] = operator.get(page(flag)).context["forms"]["variants"].rows
    assert (row.name, row.value, row.weight) == ("a", text, "100")


# -- who is named, what it needs -------------------------------------------------------


def test_audience__named__they_get_it(operator: Client) -> None:
    flag = make_colours(blue=5000, red=5000)
    group = Group.objects.create(name="testers")
    User.objects.create_user("tess")
    fields = {
        "everyone": "",
        "user_ids": "ann, ben\ncleo",
        "tiers": "pro",
        "target_variant": "red",
        "users": "tess",
        "groups": [group.pk],
        "languages": "de",
        "staff": "on",
    }
    save(operator, flag, "audience", **fields)
    flag.refresh_from_db()
    assert (flag.user_ids, flag.tiers, flag.staff, flag.superusers) == (["ann", "ben", "cleo"], ["pro"], True, False)  # fmt: skip
    assert [one.name for one in flag.groups.all()] == ["testers"]
    assert ask(flag, user="cleo").variant == "red"
    # Shown again as it was entered.
    form = operator.get(page(flag)).context["forms"]["audience"]
    assert form["users"].value() == "tess"


def test_audience__unknown_user_of_this_site__told_at_its_field(
    operator: Client,
) -> None:
    answer = save(operator, make_flag(), "audience", users="nobody")
    assert answer.status_code == 422
    form = answer.context["forms"]["audience"]
    assert form["users"].errors == ["There is no user 'nobody'."]


def test_audience__more_than_a_flag_may_name__told_at_its_field(
    operator: Client,
) -> None:
    many = "\n".join(f"u{n}" for n in range(1001))
    answer = save(operator, make_flag(), "audience", user_ids=many)
    assert answer.status_code == 422
    form = answer.context["forms"]["audience"]
    assert form["user_ids"].errors == ["At most 1,000 user ids; these are 1,001."]


@pytest.mark.parametrize(("everyone", "value"), [("yes", True), ("no", False)])
def test_audience__everybody__overrides(
    operator: Client, everyone: str, value: bool
) -> None:
    flag = make_flag(percent=50)
    save(operator, flag, "audience", everyone=everyone)
    assert ask(flag, user="ann").value is value
    text = operator.get(page(flag)).content.decode()
    assert ("Everyone" if value else "Switched off for everybody") in text


def test_needs__other_flag__is_off_without_it(operator: Client) -> None:
    base, flag = make_flag(percent=0), make_flag(percent=100)
    fields = {"need_flag": [base.name, ""], "need_variant": ["on", "on"]}
    save(operator, flag, "needs", **fields)
    assert ask(flag, user="ann").value is False
    text = operator.get(page(flag)).content.decode()
    assert f'value="{base.name}"' in text


@pytest.mark.parametrize(
    ("names", "said"),
    [(["ghost"], "There is no flag"), (["a", "a"], "only once")],
)
def test_needs__wrong__told(operator: Client, names: list[str], said: str) -> None:
    fields = {"need_flag": names, "need_variant": ["on"] * len(names)}
    answer = save(operator, make_flag(), "needs", **fields)
    assert answer.status_code == 422
    assert said in answer.content.decode().replace("&#x27;", "'")


# -- details ---------------------------------------------------------------------------


def test_details__saved__by_the_service(operator: Client) -> None:
    flag = make_flag()
    olga = User.objects.get(username="olga")
    form = {
        "reason": "New owner",
        "expected": flag.revision,
        "note": "For the summer",
        "purpose": "permission",
        "owner": olga.pk,
        "expires_on": "2031-05-01",
        "tags": "x, y",
        "in_gateway": "on",
        "sticky": "team",
    }
    answer = operator.post(page(flag, "details"), form)
    assert answer.status_code == 302
    flag.refresh_from_db()
    assert (flag.note, flag.purpose, flag.owner, flag.tags, flag.sticky, flag.in_gateway) == ("For the summer", "permission", olga, ["x", "y"], "team", True)  # fmt: skip


def test_details__late__told_who_was_faster(operator: Client) -> None:
    flag = make_flag()
    services.disable(flag, actor=BOB, reason="No")
    form = {"reason": "x", "expected": flag.revision, "purpose": "release", "sticky": "team"}  # fmt: skip
    answer = operator.post(page(flag, "details"), form)
    assert answer.status_code == 409
    assert "bob changed the flag first" in answer.content.decode()
    assert "expires_on" in operator.get(page(flag, "details")).content.decode()


def test_page__killed_flag__tells_by_whom_and_why(operator: Client) -> None:
    flag = services.kill(make_flag(percent=50), actor=BOB, reason="It burns")
    text = operator.get(page(flag)).content.decode()
    for said in ("Killed", "by bob", "It burns", "Revive", "Nothing can be scheduled"):
        assert said in text


def test_page__no_inline_script__the_policy_would_refuse_it(boss: Client) -> None:
    flag = make_colours(blue=10_000)
    for name in ("change", "details", "rules/add", "kill"):
        text = boss.get(page(flag, name)).content.decode()
        scripts = [part.split(">", 1) for part in text.split("<script")[1:]]
        assert all("src=" in head or "json" in head for head, _ in scripts), name
        assert " onclick=" not in text
