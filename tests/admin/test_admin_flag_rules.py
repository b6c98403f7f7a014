"""The rule builder: rows become conditions, and conditions sentences."""

from typing import Any

import pytest
from django.test import Client

from flags import services
from flags.models import Flag
from tests.flags.rows import ADA, BOB, ask, make_colours

pytestmark = pytest.mark.django_db


@pytest.fixture
def flag(db: None) -> Flag:
    return make_colours(blue=5000, red=5000)


def url(flag: Flag, name: str) -> str:
    return f"/admin/flags/flag/{flag.pk}/rules/{name}/"


def form(flag: Flag, *when: tuple[str, str, str, str], **fields: Any) -> dict[str, Any]:
    """(attribute, operator, type, value) of each condition."""
    columns = zip(*when, strict=True) if when else ([], [], [], [])
    names = ("attribute", "operator", "type", "value")
    return {
        "reason": "Because",
        "expected": Flag.objects.get(pk=flag.pk).revision,
        "enabled": "on",
        **{f"when_{n}": list(found) for n, found in zip(names, columns, strict=True)},
        **fields,
    }


CASES: list[tuple[tuple[str, str, str, str], Any, str]] = [
    (("country", "in", "text", "SE, NO"), ["SE", "NO"], "country is one of SE, NO"),
    (("city", "in", "text", "Bath, UK\nRome"), ["Bath, UK", "Rome"], "city is one of “Bath, UK”, Rome"),
    (("city", "not_in", "text", "Bath, UK\n"), ["Bath, UK"], "city is none of “Bath, UK”"),
    (("age", "in", "number", "1, 2.5"), [1, 2.5], "age is one of 1, 2.5"),
    (("age", "gte", "number", "18"), 18, "age is at least 18"),
    (("day", "lt", "text", "2026-12-31"), "2026-12-31", "day is less than “2026-12-31”"),
    (("beta", "equals", "boolean", "Yes"), True, "beta is yes"),
    (("app", "semver_gte", "number", "2.1.0"), "2.1.0", "app is version 2.1.0 or newer"),
    (("team", "exists", "text", "no"), False, "team is not known"),
    (("team", "exists", "text", ""), True, "team is known"),
    (("mail", "ends_with", "text", "@x.org"), "@x.org", "mail ends with @x.org"),
    (("mail", "not_contains", "text", "test"), "test", "mail does not contain test"),
    (("mail", "matches", "text", r"a.*"), "a.*", "mail matches the pattern a.*"),
]  # fmt: skip


@pytest.mark.parametrize(("when", "value", "said"), CASES)
def test_rule__built__is_kept_shown_again_and_read_as_a_sentence(
    operator: Client, flag: Flag, when: tuple[str, str, str, str], value: Any, said: str
) -> None:
    given = form(flag, when, name="Some", variant="red", share="12.5")
    preview = operator.post(url(flag, "preview"), given).content.decode()
    assert operator.post(url(flag, "add"), given).status_code == 302
    rule = flag.rules.get()
    assert rule.conditions == [{"attribute": when[0], "operator": when[1], "value": value}]  # fmt: skip
    assert (rule.name, rule.variant, rule.share) == ("Some", "red", 1250)
    sentence = f"If {said}: 12.5\u00a0% of them get “red”."
    assert sentence in preview
    page = operator.get(f"/admin/flags/flag/{flag.pk}/change/").content.decode()
    assert sentence in page
    # Edited without a change it stays the same.
    [row] = operator.get(url(flag, str(rule.pk))).context["form"].rows
    again = (row.attribute, row.operator, row.type, row.value)
    operator.post(url(flag, str(rule.pk)), form(flag, again, name="Some", variant="red", share="12.5"))  # fmt: skip
    assert flag.rules.get().conditions == rule.conditions


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (("", "in", "text", "SE"), "Attribute: enter a name"),
        (("age", "gt", "number", "old"), "“old” is not a number"),
        (("beta", "equals", "boolean", "maybe"), "write yes or no"),
        (("app", "semver_lt", "text", "two"), "a version, as in"),
        (("mail", "matches", "text", "(a*"), "not valid: missing )"),
        (("country", "in", "text", ""), "the value is a list"),
        (
            ("country", "in", "number", ",".join(map(str, range(1001)))),
            "at most 1,000 values; these are 1,001",
        ),
        (("age", "like", "text", "5"), "is one of"),
    ],
)
def test_rule__wrong__told_beside_its_row_and_not_saved(
    operator: Client, flag: Flag, when: tuple[str, str, str, str], said: str
) -> None:
    given = form(flag, when)
    assert said in operator.post(url(flag, "preview"), given).content.decode()
    answer = operator.post(url(flag, "add"), given)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not flag.rules.exists()


def test_rule__values_of_several_types__told_that_they_become_text(
    operator: Client, flag: Flag
) -> None:
    mixed = {"attribute": "size", "operator": "in", "value": ["XL", 42]}
    services.add_rule(flag, {"conditions": [mixed]}, actor=ADA)
    text = operator.get(url(flag, str(flag.rules.get().pk))).content.decode()
    assert "all become text" in text


def test_rule__share_out_of_range__told_in_the_preview(
    operator: Client, flag: Flag
) -> None:
    given = form(flag, share="120")
    text = operator.post(url(flag, "preview"), given).content.decode()
    assert "Share of the matching users" in text


def test_rule__without_conditions__fits_everybody(operator: Client, flag: Flag) -> None:
    operator.post(url(flag, "add"), form(flag, variant="red"))
    assert ask(flag, user="ann").variant == "red"
    page = operator.get(f"/admin/flags/flag/{flag.pk}/change/").content.decode()
    assert "Everybody gets “red”." in page


def test_rule__switched_off__decides_nothing(operator: Client, flag: Flag) -> None:
    given = form(flag, ("country", "equals", "text", "SE"), variant="red")
    del given["enabled"]
    operator.post(url(flag, "add"), given)
    assert not flag.rules.get().enabled


def test_rules__reordered__the_first_wins(operator: Client, flag: Flag) -> None:
    for name in ("blue", "red"):
        services.add_rule(flag, {"name": name, "variant": name}, actor=ADA)
    ids = list(flag.rules.order_by("-order").values_list("pk", flat=True))
    given = {**form(flag), "order": ids}
    assert operator.post(url(flag, "order"), given).status_code == 302
    assert ask(flag, user="ann").variant == "red"


@pytest.mark.parametrize("order", [["x"], ["999999"], []])
def test_rules__reordered_wrongly__refused(
    operator: Client, flag: Flag, order: list[str]
) -> None:
    services.add_rule(flag, {"variant": "red"}, actor=ADA)
    answer = operator.post(url(flag, "order"), {**form(flag), "order": order})
    assert answer.status_code == 422
    assert flag.rules.count() == 1


def test_rules__reordered_without_a_reason__asked_for_it(
    operator: Client, flag: Flag
) -> None:
    given = {**form(flag), "reason": ""}
    answer = operator.post(url(flag, "order"), given)
    assert "give a reason" in answer.content.decode()


def test_rule__removed__after_a_confirm(operator: Client, flag: Flag) -> None:
    services.add_rule(flag, {"name": "Old", "variant": "red"}, actor=ADA)
    remove = url(flag, f"{flag.rules.get().pk}/remove")
    assert "Everybody gets “red”." in operator.get(remove).content.decode()
    assert operator.post(remove, {**form(flag), "reason": ""}).status_code == 422
    assert operator.post(remove, form(flag)).status_code == 302
    assert not flag.rules.exists()
    assert operator.get(remove).status_code == 404


def test_rule__somebody_was_faster__told_and_the_rows_are_kept(
    operator: Client, flag: Flag
) -> None:
    late = form(flag, ("country", "equals", "text", "SE"), variant="red")
    services.set_percent(flag, 60, actor=BOB, reason="Go")
    answer = operator.post(url(flag, "add"), late)
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "bob changed the flag first" in text
    assert 'value="country"' in text
    assert not flag.rules.exists()


@pytest.mark.parametrize("name", ["add", "preview", "order"])
def test_rules__auditor__refused(auditor: Client, flag: Flag, name: str) -> None:
    assert auditor.post(url(flag, name), form(flag)).status_code == 403
