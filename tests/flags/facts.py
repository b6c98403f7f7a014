"""Facts of flags for tests of evaluation: no database."""

from typing import Any

from flags.engine.evaluation import FlagSet, flag_set
from flags.engine.flag_facts import FlagFacts, RuleFacts, VariantFacts
from valuecanvas.core.targeting.bucketing import BUCKETS, allocate


def make_facts(name: str = "a-flag", **fields: Any) -> FlagFacts:
    """A boolean flag that is enabled and gives nobody anything."""
    values = {
        "pk": 1,
        "kind": "boolean",
        "enabled": True,
        "kill": None,
        "everyone": None,
        "share": 0,
        "sticky": "targetingKey",
        "default_variant": "",
        "off_variant": "",
        "target_variant": "",
        "in_gateway": False,
        "testing": False,
    }
    return FlagFacts(name=name, **{**values, **fields})


def make_rule(*conditions: tuple[str, str, Any], **fields: Any) -> RuleFacts:
    made = tuple(
        {"attribute": name, "operator": operator, "value": value}
        for name, operator, value in conditions
    )
    values = {"label": "a rule", "variant": "", "share": BUCKETS}
    return RuleFacts(conditions=made, **{**values, **fields})


def colours(**weights: int) -> dict[str, Any]:
    """A text flag's fields: a variant for each weight, whose value is its name."""
    return {
        "kind": "string",
        "share": BUCKETS,
        "variants": tuple(VariantFacts(name, name, {}) for name in weights),
        "allocation": allocate(weights),
    }


def make_set(*facts: FlagFacts, epoch: int = 1) -> FlagSet:
    return flag_set(epoch, {str(n): one for n, one in enumerate(facts)})
