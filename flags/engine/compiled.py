"""Compiled flags: the steps that decide a variant, in their order."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import structlog

from flags.engine.answer import (
    DEFAULT,
    DISABLED,
    ERROR,
    SPLIT,
    STATIC,
    TARGETING_KEY_MISSING,
    TARGETING_MATCH,
    Evaluation,
)
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

# The longest chain of prerequisites.
MOST_DEPTH = 5
TARGETING_KEY = "targetingKey"


class FlagSource(Protocol):
    """The flags by name, to look prerequisites up."""

    def get(self, name: str) -> FlagFacts | None: ...


class _Rule(NamedTuple):
    tests: tuple[Test, ...]
    label: str
    variant: str
    share: int
    why: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The plans of a flag: the current one, and one after each scheduled change."""

    times: tuple[float, ...]
    plans: tuple[FlagPlan, ...]

    def at(self, now: float | None) -> FlagPlan:
        """The plan that applies at `now`, Unix time; None: the current time."""
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
        """`rules`: the compiled rules of `facts`, if there are some."""
        self._name = facts.name
        self._boolean = facts.kind == "boolean"
        self._values = _values(facts)
        if self._boolean:
            self._values = {"on": True, "off": False} | self._values
        self._off = facts.off_variant or ("off" if self._boolean else "")
        self._default = facts.default_variant or ("off" if self._boolean else "")
        self._included = "on" if self._boolean else self._default
        self._off_reason = _off_reason(facts)
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
        flags: FlagSource,
        context: Context,
        default: Any,
        *,
        now: float | None = None,
        depth: int = 0,
    ) -> Evaluation:
        """Decide what the caller of `context` gets. Never raises."""
        if self._off_reason is not None:
            return self._serve(self._off, default, DISABLED, self._off_reason)
        if self._prerequisites:
            unmet = self._unmet_prerequisite(flags, context, now, depth)
            if unmet:
                return self._serve(self._off, default, DISABLED, unmet)
        if self._everyone:
            return self._include(context, default, STATIC, "On for everyone.")
        if reason := self._target_reason(context):
            return self._include(
                context, default, TARGETING_MATCH, reason, variant=self._target
            )
        return self._by_rules(context, default) or self._by_share(context, default)

    def _unmet_prerequisite(
        self, flags: FlagSource, context: Context, now: float | None, depth: int
    ) -> str:
        """Which prerequisite is not met; '' if all are."""
        for name, wanted in self._prerequisites:
            facts = flags.get(name) if depth < MOST_DEPTH else None
            if facts is None:
                return f"The prerequisite '{name}' does not exist."
            plan = facts.timeline.at(now)
            answer = plan.decide(flags, context, None, now=now, depth=depth + 1)
            if answer.variant != wanted:
                return f"The prerequisite '{name}' is not '{wanted}'."
        return ""

    def _target_reason(self, context: Context) -> str:
        """Why this caller is a target; '' if not."""
        if self._user_ids:
            for name in (TARGETING_KEY, "user"):
                user = context.get(name)
                if type(user) is str and user in self._user_ids:
                    return "The user is a target."
        if self._tiers:
            tier = context.get("tier")
            if type(tier) is str and tier in self._tiers:
                return "The tier is a target."
        visitor = context.get(VISITOR)
        # A client cannot send a Visitor: JSON has no such type.
        if isinstance(visitor, Visitor):
            return visitor.target_reason(self._visitors)
        return ""

    def _by_rules(self, context: Context, default: Any) -> Evaluation | None:
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
    ) -> Evaluation | None:
        """The answer of a rule; None: the caller is outside its share."""
        at = None
        if rule.share < BUCKETS:
            subject = self._subject(context)
            if subject is None:
                return self._without_subject(default)
            at = bucket(self._salt, subject)
            if at >= rule.share:
                return None
        reason = TARGETING_MATCH if at is None else SPLIT
        return self._include(
            context, default, reason, rule.why, variant=rule.variant, rule=rule.label, at=at
        )  # fmt: skip

    def _by_share(self, context: Context, default: Any) -> Evaluation:
        if self._share == 0:
            return self._serve(self._default, default, DEFAULT, "Nothing matched.")
        if self._share == BUCKETS:
            return self._include(context, default, STATIC, "On for 100 %.")
        subject = self._subject(context)
        if subject is None:
            return self._without_subject(default)
        at = bucket(self._salt, subject)
        if at < self._share:
            return self._include(context, default, SPLIT, "Inside the percentage.", at=at)  # fmt: skip
        return self._serve(
            self._default, default, DEFAULT, "Outside the percentage.", bucket=at
        )

    def _include(
        self,
        context: Context,
        default: Any,
        reason: str,
        why: str,
        *,
        variant: str = "",
        rule: str | None = None,
        at: int | None = None,
    ) -> Evaluation:
        """Serve `variant`, or without one a variant by the weights."""
        if variant or not self._allocation:
            return self._serve(
                variant or self._included, default, reason, why, rule=rule, bucket=at
            )
        subject = self._subject(context)
        if subject is None:
            return self._without_subject(default)
        found = bucket(self._variant_salt, subject)
        return self._serve(
            owner(self._allocation, found) or self._default,
            default,
            SPLIT if reason == STATIC else reason,
            why,
            rule=rule,
            bucket=at,
            variant_bucket=found,
        )

    def _serve(
        self, variant: str, default: Any, reason: str, why: str, **found: Any
    ) -> Evaluation:
        if variant in self._values:
            default = self._values[variant]
        else:
            variant = ""
        return Evaluation(self._name, default, variant, reason, why=why, **found)

    def _without_subject(self, default: Any) -> Evaluation:
        why = f"The caller has no attribute '{self._sticky}' to bucket by."
        return Evaluation(
            self._name, default, "", ERROR, why=why, error=TARGETING_KEY_MISSING
        )

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
    """Values by variant. Numbers have one type: clients that want a float reject 2."""
    found = {one.name: one.value for one in facts.variants}
    if facts.kind == "number" and any(isinstance(v, float) for v in found.values()):
        return {name: float(value) for name, value in found.items()}
    return found


def _off_reason(facts: FlagFacts) -> str | None:
    """Why nobody gets the flag; None: it is on."""
    if facts.kill is not None:
        return f"Killed: {facts.kill}." if facts.kill else "Killed."
    if not facts.enabled:
        return "Disabled."
    return "Off for everyone." if facts.everyone is False else None


def _rules(facts: FlagFacts) -> tuple[_Rule, ...]:
    compiled, work = [], 0
    for rule in facts.rules:
        # The flag may be older than the limit, or restored.
        work += steps(rule.conditions)
        if work > MOST_STEPS_TOGETHER:
            _log_skip(facts.name, rule, "The flag's patterns take too long together.")
        elif (one := _rule(facts.name, rule)) is not None:
            compiled.append(one)
    return tuple(compiled)


def _rule(flag: str, rule: RuleFacts) -> _Rule | None:
    """The compiled rule; None if it is invalid: it then matches nobody."""
    try:
        tests = compile_conditions(rule.conditions)
    except BadCondition as error:
        _log_skip(flag, rule, str(error))
        return None
    why = f"Rule '{rule.label}' matches."
    return _Rule(tests, rule.label, rule.variant, rule.share, why)


def _log_skip(flag: str, rule: RuleFacts, reason: str) -> None:
    log.warning("flags.rule_ignored", flag=flag, rule=rule.label, reason=reason)
