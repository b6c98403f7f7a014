"""How much a flag may hold: refused by name and number, wherever it comes from."""

import datetime as dt

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from flags import services
from flags.documents import limits
from flags.models import Flag, Rule, ScheduledChange
from tests.fixtures_billing import unique
from tests.flags.rows import BOB, ask, make_flag
from valuecanvas.core.targeting.conditions import MOST_VALUES

pytestmark = pytest.mark.django_db


def variants(count: int, **fields: object) -> list[dict]:
    return [{"name": f"v{n}", "value": True, **fields} for n in range(count)]


def rules(count: int) -> list[dict]:
    return [{"name": f"r{n}"} for n in range(count)]


def among(values: list) -> list[dict]:
    condition = {"attribute": "country", "operator": "in", "value": values}
    return [{"name": "where", "conditions": [condition]}]


def names(count: int) -> list[str]:
    return [f"n{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"variants": variants(51)}, "variants", "At most 50 variants; these are 51."),
        ({"rules": rules(101)}, "rules", "At most 100 rules; these are 101."),
        ({"prerequisites": [{"flag": "x"}] * 21}, "prerequisites", "At most 20 prerequisites; these are 21."),
        ({"user_ids": names(1001)}, "user_ids", "At most 1,000 user ids; these are 1,001."),
        ({"users": names(1001)}, "users", "At most 1,000 users; these are 1,001."),
        ({"groups": names(101)}, "groups", "At most 100 groups; these are 101."),
        ({"tiers": names(101)}, "tiers", "At most 100 tiers; these are 101."),
        ({"tags": names(51)}, "tags", "At most 50 tags; these are 51."),
        ({"note": "x" * 10_001}, "note", "The note has at most 10,000 characters; this has 10,001."),
        ({"variants": variants(1, description="x" * 2001)}, "variants", "v0: the description has at most 2,000 characters; this has 2,001."),
        ({"variants": variants(1, effect={"model": "x" * 70_000})}, "variants", "v0: At most 65,536 bytes as JSON; these are 70,012."),
        ({"rules": among(names(1001))}, "rules", "where: Condition 1: the list has at most 1,000 values; these are 1,001."),
        ({"rules": among([1e308])}, "rules", "where: Condition 1: Numbers are from -9,007,199,254,740,991 to 9,007,199,254,740,991; write a larger one as text."),
        ({"variants": variants(1, effect={"parameters": {"seed": [2**53]}})}, "variants", "v0: Numbers are from -9,007,199,254,740,991 to 9,007,199,254,740,991; write a larger one as text."),
        ({"rules": among(["x" * 1001])}, "rules", "where: Condition 1: a value has at most 1,000 characters; this has 1,001."),
        ({"rules": [{"name": "r", "conditions": among(["a"])[0]["conditions"] * 51}]}, "rules", "r: At most 50 conditions; these are 51."),
    ],
)  # fmt: skip
def test_edit__more_than_a_flag_may_hold__names_field_and_limit(changes, field, text):
    flag = make_flag()

    with pytest.raises(ValidationError) as caught:
        services.edit_flag(flag, changes, actor=BOB)

    assert caught.value.message_dict == {field: [text]}
    assert Flag.objects.get(pk=flag.pk).revision == 1


def test_edit__as_much_as_a_flag_may_hold__is_kept():
    flag = make_flag(
        variants=variants(limits.COUNTS["variants"]),
        rules=rules(limits.COUNTS["rules"] - 1) + among(names(MOST_VALUES)),
        user_ids=names(limits.COUNTS["user_ids"]),
    )

    assert flag.rules.count() == 100
    assert ask(flag, user="n999").value is True


def test_edit__larger_altogether_than_a_flag_may_be__is_refused():
    large = [{"name": f"v{n}", "value": ["x" * 60_000]} for n in range(17)]

    with pytest.raises(ValidationError, match="at most 1,000,000 bytes as JSON"):
        make_flag(kind="object", variants=large)


def test_edit__of_a_flag_that_is_too_large_already__may_not_grow_it():
    flag = make_flag(rules=rules(100))
    Rule.objects.create(flag=flag, order=100, name="by another hand")
    Flag.objects.filter(pk=flag.pk).update(note="x" * 1_000_001)

    flag = services.set_percent(flag, 20, actor=BOB)
    flag = services.edit_flag(flag, {"note": "short"}, actor=BOB)
    with pytest.raises(ValidationError, match="At most 100 rules; these are 102"):
        services.add_rule(flag, {"name": "one more"}, actor=BOB)

    assert flag.rules.count() == 101


def test_rule__with_a_long_list_by_another_hand__goes_on_deciding():
    flag = make_flag()
    Rule.objects.create(flag=flag, order=0, **among(names(5_000))[0], variant="on")

    assert ask(flag, country="n4999").value is True


def test_schedule__more_changes_than_may_be_pending__is_refused():
    flag, later = make_flag(), timezone.now() + dt.timedelta(days=1)
    ScheduledChange.objects.bulk_create(
        ScheduledChange(flag=flag, at=later, kind="enable") for _ in range(500)
    )

    with pytest.raises(ValidationError, match="At most 500 changes .* 500 are already"):
        services.schedule(flag, "kill", at=later, actor=BOB)


def test_import__more_than_a_flag_may_hold__names_flag_and_limit(tmp_path):
    name, path = unique("flag"), tmp_path / "flags.yaml"
    rows = [{"name": name, "user_ids": names(1001)}]
    path.write_text(yaml.safe_dump({"format": 1, "flags": rows}))

    with pytest.raises(CommandError, match=f"{name}: At most 1,000 user ids"):
        call_command("import_flags", str(path))
