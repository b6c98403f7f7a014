"""The ready groups: what their members may do, with the least rights for their work.

Missing everywhere on purpose: adding providers and setting their endpoints (that sends
keys to a host), channels of alerts (that sends names and sums to a host), exporting,
erasing and deleting customers, deleting teams and tiers, users and groups, kinds of
schedules, chaos experiments (only superusers begin faults; operators stop them), who may
move protected labels, and reading what customers sent with jobs (llm.view_job_content).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadyGroup:
    """A group that each installation has; `former` is its name in earlier versions."""

    name: str
    sentence: str
    rights: tuple[str, ...]
    former: str = ""


OPERATOR, AUDITOR = "Operator", "Auditor"
PROMPT_EDITOR, PROMPT_PUBLISHER = "Prompt editor", "Prompt publisher"
FLAG_EDITOR, FINANCE, SUPPORT = "Flag editor", "Finance", "Support read-only"

# Operators and auditors may view these; the verbs are the daily work, of operators.
OPERATED = {
    "admin.logentry": "",
    "backups.backup": "make",
    "billing.alertchannel": "test",
    "billing.alertevent": "",
    "billing.alertrule": "add change delete",
    "billing.apikey": "add change",
    "billing.budget": "add change delete",
    "billing.counter": "",
    "billing.customer": "add change",
    "billing.idempotentreplay": "",
    "billing.ledgercheck": "run",
    "billing.price": "add change",
    "billing.refusal": "",
    "billing.request": "",
    "billing.reservation": "",
    "billing.team": "add change",
    "billing.tier": "add change",
    "billing.usage": "",
    "core.loglevel": "add change delete",
    "core.webhookdelivery": "resend",
    "core.webhookendpoint": "change",
    "django_celery_beat.periodictask": "change",
    "flags.flag": "add change delete kill",
    "flags.flagevent": "",
    "llm.attempt": "",
    "llm.breakerevent": "",
    "llm.breakeroverride": "add change delete",
    "llm.cacheepoch": "add",
    "llm.chaosexperiment": "",
    "llm.chaosrun": "stop",
    "llm.chaoswindow": "",
    "llm.feedback": "",
    "llm.job": "operate",
    "llm.jobbatch": "",
    "llm.jobfile": "delete",
    "llm.model": "add change",
    "llm.provider": "change",
    "llm.recurringjob": "add change delete",
    "llm.route": "add change delete",
    "prompts.experiment": "add change delete",
    "prompts.prompt": "add change publish",
    "prompts.promptevent": "",
    "prompts.protectedlabel": "",
    "waffle.sample": "add change delete",
    "waffle.switch": "add change delete",
}
# What both who write and who publish prompts look at.
PROMPTS = {
    "llm.model": "",
    "prompts.experiment": "",
    "prompts.prompt": "",
    "prompts.promptevent": "",
    "prompts.protectedlabel": "",
}
FLAGS = {
    "flags.flag": "add change kill",
    "flags.flagevent": "",
    "waffle.sample": "add change",
    "waffle.switch": "add change",
}
MONEY = {
    "billing.alertevent": "",
    "billing.apikey": "",
    "billing.budget": "add change delete",
    "billing.counter": "",
    "billing.customer": "",
    "billing.price": "",
    "billing.request": "",
    "billing.team": "",
    "billing.tier": "",
    "billing.usage": "",
}
CALLERS = {
    "billing.apikey": "",
    "billing.customer": "",
    "billing.idempotentreplay": "",
    "billing.refusal": "",
    "billing.request": "",
    "billing.team": "",
    "billing.tier": "",
    "billing.usage": "",
    "llm.attempt": "",
}


def _viewed(work: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_right(name, "view") for name in work)


def _rights(work: Mapping[str, str], *others: str) -> tuple[str, ...]:
    """The rights to view all of `work` and to do its verbs, and `others`."""
    done = [
        _right(name, verb) for name, verbs in work.items() for verb in verbs.split()
    ]
    return (*_viewed(work), *done, *others)


def _right(name: str, verb: str) -> str:
    app, model = name.split(".")
    return f"{app}.{verb}_{model}"


READY_GROUPS = (
    ReadyGroup(
        OPERATOR,
        "Runs the gateway: models, routes, prompts, flags, customers, keys, budgets, jobs.",
        _rights(OPERATED, "core.view_status", "llm.pause_jobs", "llm.use_playground"),
        former="Operators",
    ),
    ReadyGroup(
        PROMPT_EDITOR,
        "Writes prompts and their versions and tries them; cannot publish.",
        _rights(PROMPTS | {"prompts.prompt": "add change"}, "llm.use_playground"),
    ),
    ReadyGroup(
        PROMPT_PUBLISHER,
        "Publishes versions: labels, rollouts and experiments; cannot write prompts.",
        _rights(
            PROMPTS
            | {"prompts.prompt": "publish", "prompts.experiment": "add change delete"}
        ),
    ),
    ReadyGroup(
        FLAG_EDITOR,
        "Adds, changes and kills flags, switches and samples; cannot delete them.",
        _rights(FLAGS),
    ),
    ReadyGroup(
        FINANCE,
        "Sees spend, prices and tiers, exports them, and sets budgets.",
        _rights(MONEY),
    ),
    ReadyGroup(
        AUDITOR,
        "Sees everything but what customers sent; changes nothing.",
        (*_viewed(OPERATED), "core.view_auditentry", "core.view_status"),
        former="Auditors",
    ),
    ReadyGroup(
        SUPPORT,
        "Sees customers, requests, refusals and keys, without contents; changes nothing.",
        _rights(CALLERS),
    ),
)
SENTENCES = {one.name: one.sentence for one in READY_GROUPS}
