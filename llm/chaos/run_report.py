"""The report of a run, as JSON and as Markdown."""

from typing import Any

from llm.chaos.plan import FaultPlan, read_plan
from llm.models import ChaosRun


def write_json(run: ChaosRun) -> dict[str, Any]:
    """All that is known of the run, for programs."""
    return {
        "id": str(run.pk),
        "name": run.name,
        "is_drill": run.is_drill,
        "state": run.state,
        "verdict": run.verdict,
        "started_by": run.started_by.get_username() if run.started_by else "",
        "stopped_by": run.stopped_by.get_username() if run.stopped_by else "",
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "reason": run.reason,
        "plan": run.plan,
        "injected": run.injected,
        "slo_effect": slo_effect(run),
        "findings": run.findings,
        "samples": run.samples,
    }


def write_markdown(run: ChaosRun) -> str:
    """The report for people."""
    kind = "Drill" if run.is_drill else "Experiment"
    lines = [f"# {kind} {run.name}: {run.verdict or run.get_state_display()}", ""]
    lines += [f"- {name}: {_plain(text)}" for name, text in _facts(run) if text]
    lines += ["", "| expected | seen | |", "| --- | --- | --- |"]
    lines += [
        f"| {_plain(one['expected'])} | {_plain(one['seen'])} | {_mark(one['holds'])} |"
        for one in run.findings
    ]
    if run.samples:
        lines += ["", "| phase | requests | errors | p95 ms | cost USD | injected |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        names = ("phase", "requests", "errors", "p95_ms", "cost_usd", "injected")
        for sample in run.samples:
            cells = (_plain(str(sample.get(name, ""))) for name in names)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _facts(run: ChaosRun) -> list[tuple[str, str]]:
    return [
        # One that was refused has no plan.
        *(_injected(read_plan(run.plan)) if run.plan else ()),
        ("Faults injected", str(run.injected)),
        *((f"SLO effect, {phase}", text) for phase, text in slo_effect(run).items()),
        ("Begun", f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Ended", f"{run.ended_at:%Y-%m-%d %H:%M:%S} UTC" if run.ended_at else ""),
        ("By", run.started_by.get_username() if run.started_by else ""),
        ("State", run.get_state_display()),
        ("Reason", run.reason),
    ]


def _injected(plan: FaultPlan) -> list[tuple[str, str]]:
    parameters = ", ".join(f"{key}={one}" for key, one in plan.parameters.items())
    return [
        ("Injected", f"{plan.fault} {parameters}".strip()),
        ("Providers", ", ".join(sorted(plan.providers))),
        ("Models", ", ".join(sorted(plan.model_names))),
    ]


def slo_effect(run: ChaosRun) -> dict[str, str]:
    """Availability and the slowest times by phase: before, during and after the fault."""
    found = {}
    # Another release may have written members that are not known here, and not others.
    for phase in dict.fromkeys(one.get("phase", "") for one in run.samples):
        of_phase = [one for one in run.samples if one.get("phase", "") == phase]
        requests = sum(one.get("requests", 0) for one in of_phase)
        answered = requests - sum(one.get("errors", 0) for one in of_phase)
        p95_ms = max((one.get("p95_ms") or 0 for one in of_phase), default=0)
        if requests:
            found[phase] = (
                f"{100 * answered / requests:.1f}% of {requests} requests answered, "
                f"95% within {p95_ms} ms at the slowest point"
            )
    return found


def _mark(holds: bool | None) -> str:
    if holds is None:
        return "not judged"
    return "holds" if holds else "**FAILED**"


def _plain(text: str) -> str:
    """Text for one cell: no line ends, and nothing that ends the cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
