"""Rules fit as the one table of conditions says, and cannot stall an evaluation."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from flags import services
from flags.engine.evaluation import evaluate
from flags.models import Rule
from tests.flags.facts import make_facts, make_rule, make_set
from tests.flags.rows import ADA, ask, make_flag
from tests.targeting_truth import CASES, context
from valuecanvas.core.targeting.conditions import Attributes

HEAVY = "[a-z]{1,200}x"


@pytest.mark.parametrize(("operator", "value", "found", "wanted"), CASES)
def test_rule__of_a_caller__fits_as_the_table_says(
    operator: str, value: Any, found: Any, wanted: bool
) -> None:
    flags = make_set(make_facts(rules=(make_rule(("a", operator, value)),)))
    caller = {"targetingKey": "ada", **context(found)}
    assert evaluate(flags, "a-flag", caller).value is wanted
    assert evaluate(flags, "a-flag", Attributes(caller)).value is wanted


def heavy_rules(count: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"r{number}",
            "conditions": [
                {"attribute": "a", "operator": "matches", "value": f"{HEAVY}{number}"}
            ],
        }
        for number in range(count)
    ]


@pytest.mark.django_db
def test_save__patterns_that_take_long_together__are_refused_by_field() -> None:
    flag = make_flag()
    with pytest.raises(ValidationError, match="too long together") as caught:
        services.edit_flag(flag, {"rules": heavy_rules(50)}, actor=ADA, reason="")
    assert list(caught.value.message_dict) == ["rules"]


@pytest.mark.django_db
def test_load__patterns_that_take_long_together__are_left_out_from_there_on() -> None:
    flag = make_flag()
    for number, one in enumerate(heavy_rules(60)):
        Rule.objects.create(
            flag=flag,
            order=number,
            name=one["name"],
            conditions=one["conditions"],
            share=None,
        )
    assert ask(flag, targetingKey="ada", a="ax0").value is True
    assert ask(flag, targetingKey="ada", a="ax59").value is False
