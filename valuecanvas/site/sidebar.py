"""The admin's sidebar and header."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

_LABELS = {
    "embedded": ["On this machine", "info"],
    "production": ["Production", "danger"],
    "test": ["Test", "warning"],
}


@dataclass(frozen=True, slots=True)
class Item:
    """One link. `url` is a URL name in the admin's namespace, or a path from '/'.

    `covers` are prefixes of the URL names of pages that belong to it.
    """

    title: str
    icon: str
    url: str
    permission: str = ""
    covers: tuple[str, ...] = ()
    # The setting without which it is hidden.
    setting: str = ""

    def link(self) -> str:
        return self.url if self.url.startswith("/") else reverse(f"admin:{self.url}")

    def fits(self, name: str) -> int:
        """How well a page's URL name matches this link; 0: not at all."""
        if name == self.url:
            return len(name)
        return max((len(one) for one in self.covers if name.startswith(one)), default=0)

    def is_for(self, user: Any) -> bool:
        """Whether this user may open it."""
        on = not self.setting or getattr(settings, self.setting)
        return on and (not self.permission or user.has_perm(self.permission))


def listing(title: str, icon: str, model: str, *covers: str, setting: str = "") -> Item:
    """A link to the list page of `app.model`, which covers all pages of its objects."""
    app, name = model.split(".")
    url, right = f"{app}_{name}_changelist", f"{app}.view_{name}"
    return Item(title, icon, url, right, (f"{app}_{name}_", *covers), setting)


_CHAOS = "CHAOS_ENABLED"
GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (Item("Dashboard", "space_dashboard", "index"),)),
    (
        "Traffic",
        (
            Item("Playground", "chat", "llm_playground", "llm.use_playground"),
            listing(
                "Requests",
                "receipt_long",
                "billing.request",
                "billing_usage_",
                "billing_refusal_",
                "billing_idempotentreplay_",
            ),
            listing("Failed attempts", "error", "llm.attempt"),
            listing("Feedback", "thumbs_up_down", "llm.feedback"),
        ),
    ),
    (
        "Jobs",
        (
            listing("Jobs", "work_history", "llm.job"),
            listing("Batches", "dynamic_feed", "llm.jobbatch"),
            listing("Files", "draft", "llm.jobfile"),
            listing("Recurring jobs", "event_repeat", "llm.recurringjob"),
        ),
    ),
    (
        "Prompts",
        (
            listing("Prompts", "description", "prompts.prompt", "llm_prompt_"),
            listing("Experiments", "science", "prompts.experiment"),
            listing("Prompt history", "manage_history", "prompts.promptevent"),
            listing("Protected labels", "lock", "prompts.protectedlabel"),
        ),
    ),
    (
        "Flags",
        (
            listing("Flags", "flag", "flags.flag"),
            listing("Flag history", "manage_history", "flags.flagevent"),
            listing("Switches", "toggle_on", "waffle.switch"),
            listing("Samples", "percent", "waffle.sample"),
        ),
    ),
    (
        "Customers & spend",
        (
            Item("Spend", "payments", "billing_spend", "billing.view_usage"),
            listing("Customers", "person", "billing.customer"),
            listing("Teams", "groups", "billing.team"),
            listing("Tiers", "stairs", "billing.tier"),
            listing("API keys", "key", "billing.apikey"),
            listing("Budgets", "savings", "billing.budget"),
            listing("Prices", "sell", "billing.price"),
            listing("Alerts", "notifications", "billing.alertevent"),
            listing("Alert rules", "rule", "billing.alertrule"),
            listing("Alert channels", "campaign", "billing.alertchannel"),
        ),
    ),
    (
        "Providers",
        (
            listing("Providers", "cloud", "llm.provider"),
            listing("Models", "neurology", "llm.model"),
            listing("Routes", "alt_route", "llm.route"),
            Item(
                "Circuit breakers",
                "electrical_services",
                "llm_breakers",
                "llm.view_breakerevent",
                ("llm_breaker",),
            ),
        ),
    ),
    (
        "Operations",
        (
            Item("Status", "monitor_heart", "status", "core.view_status"),
            Item("Queue", "queue", "llm_queue", "llm.view_job", ("llm_queue_",)),
            listing(
                "Periodic tasks",
                "schedule",
                "django_celery_beat.periodictask",
                "django_celery_beat_",
            ),
            Item(
                "Ledger health",
                "balance",
                "billing_ledger_health",
                "billing.view_ledgercheck",
                ("billing_ledgercheck_",),
            ),
            listing("Backups", "backup", "backups.backup", "backups_"),
            listing("Webhooks", "webhook", "core.webhookdelivery"),
            listing("Webhook endpoints", "link", "core.webhookendpoint"),
            listing("Cache purges", "cached", "llm.cacheepoch"),
            listing("Counters", "tag", "billing.counter"),
            listing("Reservations under way", "hourglass_top", "billing.reservation"),
            listing("Log level", "notes", "core.loglevel"),
            Item("Performance", "monitoring", "metrics", "billing.view_usage"),
            Item("API documentation", "menu_book", "/api/docs"),
        ),
    ),
    (
        "Chaos",
        (
            listing("Chaos experiments", "bolt", "llm.chaosexperiment", setting=_CHAOS),
            listing("Chaos runs", "monitoring", "llm.chaosrun", setting=_CHAOS),
            Item(
                "Drills",
                "fire_extinguisher",
                "llm_chaos_drills",
                "llm.view_chaosrun",
                ("llm_chaos_drill",),
                _CHAOS,
            ),
            listing(
                "Chaos windows", "event_available", "llm.chaoswindow", setting=_CHAOS
            ),
        ),
    ),
    (
        "Access",
        (
            listing("Users", "manage_accounts", "auth.user"),
            listing("Groups", "group_work", "auth.group"),
            Item("Who may do what", "policy", "rights"),
            listing("Audit", "history", "core.auditentry"),
            listing("Admin log", "manage_history", "admin.logentry"),
        ),
    ),
)


def current(request: HttpRequest) -> tuple[str, Item] | None:
    """The group and the link that this page belongs to, if any."""
    match = request.resolver_match
    name = (match.url_name if match else "") or ""
    places = [(title, item) for title, items in GROUPS for item in items]
    best = max(places, key=lambda place: place[1].fits(name))
    return best if best[1].fits(name) else None


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups with the links that this user may open, without empty groups."""
    here = current(request)
    groups = [
        {
            "title": title,
            "items": [
                {
                    "title": item.title,
                    "icon": item.icon,
                    "link": item.link(),
                    "active": here is not None and item is here[1],
                }
                for item in items
                if item.is_for(request.user)
            ],
        }
        for title, items in GROUPS
    ]
    return [group for group in groups if group["items"]]


def environment(request: HttpRequest) -> list[str]:
    """The label in the header."""
    return _LABELS[settings.ENVIRONMENT]


def stylesheet(request: HttpRequest) -> str:
    return static("valuecanvas/admin.css")


def script(request: HttpRequest) -> str:
    return static("valuecanvas/admin.js")


def favicon(request: HttpRequest) -> str:
    return static("valuecanvas/icon.svg")
