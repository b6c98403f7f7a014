"""What a plan does, as one sentence for people."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.chaos.faults import fill_parameters
from llm.models.chaos import FaultKind


def _latency(given: Mapping[str, Any]) -> str:
    shape, delay = given["shape"], f"{given['delay_ms']:,}\u00a0ms"
    if shape == "fixed":
        return f"take {delay} longer"
    if shape == "exponential":
        return f"take {delay} longer on average"
    return f"take {delay} longer, give or take {given['spread_ms']:,}\u00a0ms"


# By the kind of fault, what its calls get; of its parameters.
_EFFECTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    FaultKind.LATENCY: _latency,
    FaultKind.ERROR: lambda given: f"get status {given['status']}",
    FaultKind.TIMEOUT: lambda given: "get no answer",
    FaultKind.RATE_LIMIT: lambda given: f"get status 429 with Retry-After {given['retry_after_s']}\u00a0s",
    FaultKind.MALFORMED: lambda given: f"get an answer that cannot be read ({given['form'].replace('_', ' ')})",
    FaultKind.CUT: lambda given: f"get an answer that breaks off after {given['after']:,} {given['unit']}",
}  # fmt: skip
_DRILLS: Mapping[str, str] = {
    FaultKind.STORE_SLOW: "Redis answers slowly.",
    FaultKind.STORE_DOWN: "Redis does not answer.",
    FaultKind.DATABASE_RESTART: "The database restarts.",
    FaultKind.WORKER_EXIT: "A worker process is killed.",
}


def describe_plan(plan: Mapping[str, Any], *, ttl_s: int | None = None) -> str:
    """As 'Of the chat calls of tier free to openai, 5 % get status 503 for at most 5 min.'"""
    fault = str(plan.get("fault", ""))
    if fault in _DRILLS:
        return _DRILLS[fault]
    effect = _EFFECTS.get(fault)
    if effect is None:
        return "Nothing was injected."
    percent = float(plan.get("percent") or 0)
    lasting = f" for at most {_time(ttl_s)}" if ttl_s else ""
    words = effect(fill_parameters(fault, plan.get("parameters") or {}))
    return f"Of {_target(plan)}, {percent:g}\u00a0% {words}{lasting}."


def _target(plan: Mapping[str, Any]) -> str:
    endpoints = plan.get("endpoints") or []
    parts = [
        f"the {_either(endpoints)} calls" if endpoints else "all calls",
        *(
            f"{'of' if not number else 'and'} {_condition(one)}"
            for number, one in enumerate(plan.get("conditions") or [])
        ),
    ]
    if models := plan.get("model_names"):
        parts.append(f"for {_either(models)}")
    providers = plan.get("providers")
    parts.append(f"to {_either(providers)}" if providers else "to any provider")
    return " ".join(parts)


def _condition(one: Mapping[str, Any]) -> str:
    value, operator = one.get("value"), str(one.get("operator", ""))
    shown = _either(value) if isinstance(value, list) else str(value)
    joint = "" if operator in ("in", "equals") else f"{operator.replace('_', ' ')} "
    return f"{one.get('attribute', '')} {joint}{shown}"


def _either(names: Sequence[Any]) -> str:
    *first, last = map(str, names)
    return f"{', '.join(first)} or {last}" if first else last


def _time(seconds: int) -> str:
    return f"{seconds / 60:g}\u00a0minutes" if seconds >= 120 else f"{seconds}\u00a0s"
