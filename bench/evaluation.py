"""Measures one flag evaluation in process, without network."""

from __future__ import annotations

import time

from bench.plan import FLAG_RULES
from flags.engine.evaluation import evaluate, flag_set
from flags.engine.flag_facts import FlagFacts, RuleFacts

ROUNDS, TIMES = 5, 20_000


def _facts() -> FlagFacts:
    """A flag with ten rules of two conditions each, of which the last one matches."""
    rules = tuple(
        RuleFacts(
            label=f"rule {order}",
            conditions=(
                {"attribute": "tier", "operator": "in", "value": ["pro", "team"]},
                {
                    "attribute": "country",
                    "operator": "equals",
                    "value": "SE" if order == FLAG_RULES - 1 else f"X{order}",
                },
            ),
            variant="on",
            share=10_000,
        )
        for order in range(FLAG_RULES)
    )
    return FlagFacts(
        pk=1,
        name="bench",
        kind="boolean",
        enabled=True,
        kill=None,
        everyone=None,
        share=0,
        sticky="targetingKey",
        default_variant="",
        off_variant="",
        target_variant="",
        in_gateway=False,
        testing=False,
        rules=rules,
    )


def microseconds() -> float:
    """CPU of one evaluation, the median of some rounds."""
    flags = flag_set(1, {"1": _facts()})
    context = {"targetingKey": "user-1", "tier": "pro", "country": "SE"}
    if evaluate(flags, "bench", context).rule != f"rule {FLAG_RULES - 1}":
        raise RuntimeError("The flag of the bench does not do what it should.")
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(TIMES):
            evaluate(flags, "bench", context)
        rounds.append((time.process_time() - before) / TIMES * 1_000_000)
    return sorted(rounds)[ROUNDS // 2]
