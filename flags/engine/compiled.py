"""A flag compiled: the steps that decide what a caller gets, in their order."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import structlog

from flags.engine.visitor import VISITOR, Visitor
from valuecanvas.core.targeting.bucketing import BUCKETS, bucket, owner
from valuecanvas.core.targeting.conditions import (
    BadCondition,
    Context,
    Test,
    compile_conditions,
    steps,
)
from valuecanvas.core.targeting.patterns import MOST_STEPS_TOGETHER

if TYPE_CHECKING:
    from flags.engine.flag_facts import FlagFacts, RuleFacts

log = structlog.get_logger("flags")

# Of a flag on a flag on a flag ...
MOST_DEPTH = 5
TARGETING_KEY = "targetingKey"


class FlagSource(Protocol):
    """Where a flag finds those that it depends on."""

    def get(self, name: str) -> FlagFacts | None: ...


class FlagAnswer(NamedTuple):
    """What a flag gave, and why. No `variant`: the caller's default."""

    variant: str
    value: Any
    reason: str
    why: str
    rule: str | None = None
    bucket: int | None = None
    variant_bucket: int | None = None
    error: str = ""


class _Rule(NamedTuple):
    tests: tuple[Test, ...]
    label: str
    variant: str
    share: int
    why: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The plans of a flag: as it is, and after each of its scheduled changes."""

    times: tuple[float, ...]
    plans: tuple[FlagPlan, ...]

    def at(self, now: float | None) -> FlagPlan:
        """The plan that counts at `now`, Unix time; None: at this moment."""
        if not self.times:
            return self.plans[0]
        return self.plans[bisect_right(self.times, time.time() if now is None else now)]


class FlagPlan:
    """Decides in this order: kill switch, off, prerequisites, everyone, the named
    users, tiers and groups, rules, percentage, default.
    """

    def __init__(
        self, facts: FlagFacts, rules: tuple[_Rule, ...] | None = None
    ) -> None:
        """`rules`: those of `facts`, if they are compiled already."""
        self._name = facts.name
        self._boolean = facts.kind == "boolean"
        self._values = _values(facts)
        if self._boolean:
            self._values = {"on": True, "off": False} | self._values
        self._off = facts.off_variant or ("off" if self._boolean else "")
        self._default = facts.default_variant or ("off" if self._boolean else "")
        self._in = "on" if self._boolean else self._default
        self._fixed = _fixed(facts)
        self._everyone = facts.everyone is True
        self._prerequisites = facts.prerequisites
        self._sticky = facts.sticky
        self._salt = f"flag:{facts.name}"
        self._variant_salt = f"flag:{facts.name}:variant"
        self._allocation = facts.allocation
        self._share = facts.share
        self._user_ids = frozenset(facts.user_ids)
        self._tiers = frozenset(facts.tiers)
        self._visitors = facts.visitors
        self._target = facts.target_variant
        self.rules = _rules(facts) if rules is None else rules

    def decide(
        self,
        library: FlagSource,
        context: Context,
        default: Any,
        *,
        now: float | None = None,
        depth: int = 0,
    ) -> FlagAnswer:
        """What the caller of `context` gets. Never raises."""
        if self._fixed is not None:
            return self._serve(self._off, default, "DISABLED", self._fixed)
        if self._prerequisites:
            lacking = self._lacking(library, context, now, depth)
            if lacking:
                return self._serve(self._off, default, "DISABLED", lacking)
        if self._everyone:
            return self._given(context, default, "STATIC", "On for everyone.")
        if named := self._named(context):
            return self._given(
                context, default, "TARGETING_MATCH", named, variant=self._target
            )
        return self._by_rules(context, default) or self._by_share(context, default)

    def _lacking(
        self, library: FlagSource, context: Context, now: float | None, depth: int
    ) -> str:
        """Which prerequisite is not met; empty: all are."""
        for name, wanted in self._prerequisites:
            facts = library.get(name) if depth < MOST_DEPTH else None
            if facts is None:
                return f"Needs '{name}', which is not there."
            plan = facts.timeline.at(now)
            answer = plan.decide(library, context, None, now=now, depth=depth + 1)
            if answer.variant != wanted:
                return f"Needs '{name}' to be '{wanted}'."
        return ""

    def _named(self, context: Context) -> str:
        """Why this caller has it in any case; empty: no reason."""
        if self._user_ids:
            for name in (TARGETING_KEY, "user"):
                user = context.get(name)
                if type(user) is str and user in self._user_ids:
                    return "The user is named."
        if self._tiers:
            tier = context.get("tier")
            if type(tier) is str and tier in self._tiers:
                return "The tier is named."
        visitor = context.get(VISITOR)
        # No client can send one: JSON has no such type.
        if isinstance(visitor, Visitor):
            return visitor.named_by(self._visitors)
        return ""

    def _by_rules(self, context: Context, default: Any) -> FlagAnswer | None:
        for rule in self.rules:
            for test in rule.tests:
                if not test(context):
                    break
            else:
                answer = self._by_rule(rule, context, default)
                if answer is not None:
                    return answer
        return None

    def _by_rule(
        self, rule: _Rule, context: Context, default: Any
    ) -> FlagAnswer | None:
        """None: the caller is outside the rule's share."""
        at = None
        if rule.share < BUCKETS:
            subject = self._subject(context)
            if subject is None:
                return self._nobody(default)
            at = bucket(self._salt, subject)
            if at >= rule.share:
                return None
        reason = "TARGETING_MATCH" if at is None else "SPLIT"
        return self._given(
            context, default, reason, rule.why, variant=rule.variant, rule=rule.label, at=at
        )  # fmt: skip

    def _by_share(self, context: Context, default: Any) -> FlagAnswer:
        if self._share == 0:
            return self._serve(self._default, default, "DEFAULT", "Nothing matched.")
        if self._share == BUCKETS:
            return self._given(context, default, "STATIC", "On for 100 %.")
        subject = self._subject(context)
        if subject is None:
            return self._nobody(default)
        at = bucket(self._salt, subject)
        if at < self._share:
            return self._given(context, default, "SPLIT", "Inside the percentage.", at=at)  # fmt: skip
        return self._serve(
            self._default, default, "DEFAULT", "Outside the percentage.", bucket=at
        )

    def _given(
        self,
        context: Context,
        default: Any,
        reason: str,
        why: str,
        *,
        variant: str = "",
        rule: str | None = None,
        at: int | None = None,
    ) -> FlagAnswer:
        """Serve `variant`; without one, what the weights say."""
        if variant or not self._allocation:
            return self._serve(
                variant or self._in, default, reason, why, rule=rule, bucket=at
            )
        subject = self._subject(context)
        if subject is None:
            return self._nobody(default)
        found = bucket(self._variant_salt, subject)
        return self._serve(
            owner(self._allocation, found) or self._default,
            default,
            "SPLIT" if reason == "STATIC" else reason,
            why,
            rule=rule,
            bucket=at,
            variant_bucket=found,
        )

    def _serve(
        self, variant: str, default: Any, reason: str, why: str, **found: Any
    ) -> FlagAnswer:
        if variant in self._values:
            return FlagAnswer(variant, self._values[variant], reason, why, **found)
        return FlagAnswer("", default, reason, why, **found)

    def _nobody(self, default: Any) -> FlagAnswer:
        why = f"The caller has no '{self._sticky}' to decide by."
        return FlagAnswer("", default, "ERROR", why, error="TARGETING_KEY_MISSING")

    def _subject(self, context: Context) -> str | None:
        found = context.get(self._sticky)
        if found is None and self._sticky == TARGETING_KEY:
            found = context.get("user")
        if type(found) is str:
            return found or None
        if isinstance(found, int | float) and not isinstance(found, bool):
            return str(found)
        return None


def _values(facts: FlagFacts) -> dict[str, Any]:
    """By variant. Numbers are of one type: clients that ask for a float take no 2."""
    found = {one.name: one.value for one in facts.variants}
    if facts.kind == "number" and any(isinstance(v, float) for v in found.values()):
        return {name: float(value) for name, value in found.items()}
    return found


def _fixed(facts: FlagFacts) -> str | None:
    """Why nobody gets it; None: some may."""
    if facts.kill is not None:
        return f"Killed: {facts.kill}." if facts.kill else "Killed."
    if not facts.enabled:
        return "Disabled."
    return "Off for everyone." if facts.everyone is False else None


def _rules(facts: FlagFacts) -> tuple[_Rule, ...]:
    made, work = [], 0
    for rule in facts.rules:
        # Of a flag that was saved before there was a limit, or restored.
        work += steps(rule.conditions)
        if work > MOST_STEPS_TOGETHER:
            _ignored(facts.name, rule, "The flag's patterns take too long together.")
        elif (one := _rule(facts.name, rule)) is not None:
            made.append(one)
    return tuple(made)


def _rule(flag: str, rule: RuleFacts) -> _Rule | None:
    """None: it is not understood, and fits nobody. Saving checks, a restore may not."""
    try:
        tests = compile_conditions(rule.conditions)
    except BadCondition as error:
        _ignored(flag, rule, str(error))
        return None
    why = f"Rule '{rule.label}' fits."
    return _Rule(tests, rule.label, rule.variant, rule.share, why)


def _ignored(flag: str, rule: RuleFacts, reason: str) -> None:
    log.warning("flags.rule_ignored", flag=flag, rule=rule.label, reason=reason)
