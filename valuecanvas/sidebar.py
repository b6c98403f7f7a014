"""The admin's sidebar and frame: what an operator sees on every page."""

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
    """One link. `url` is a name in the admin's namespace, or a path from '/'."""

    title: str
    icon: str
    url: str
    permission: str = ""

    def link(self) -> str:
        return self.url if self.url.startswith("/") else reverse(f"admin:{self.url}")


def listing(title: str, icon: str, model: str) -> Item:
    """The list page of `app.model`."""
    app, name = model.split(".")
    return Item(title, icon, f"{app}_{name}_changelist", f"{app}.view_{name}")


GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (Item("Dashboard", "space_dashboard", "index"),)),
    (
        "Traffic",
        (
            Item("Playground", "chat", "llm_playground", "llm.use_playground"),
            listing("Requests", "receipt_long", "billing.usage"),
            listing("Failed attempts", "error", "llm.attempt"),
            listing("Feedback", "thumbs_up_down", "llm.feedback"),
        ),
    ),
    (
        "Prompts",
        (
            listing("Prompts", "description", "prompts.prompt"),
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
            listing("Customers", "person", "billing.customer"),
            listing("Teams", "groups", "billing.team"),
            listing("Tiers", "stairs", "billing.tier"),
            listing("API keys", "key", "billing.apikey"),
            listing("Budgets", "savings", "billing.budget"),
            listing("Prices", "sell", "billing.price"),
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
            ),
        ),
    ),
    (
        "Operations",
        (
            listing("Periodic tasks", "schedule", "django_celery_beat.periodictask"),
            Item(
                "Ledger health",
                "balance",
                "billing_ledger_health",
                "billing.view_ledgercheck",
            ),
            listing("Forgotten answers", "cached", "llm.cacheepoch"),
            listing("Counters", "tag", "billing.counter"),
            listing("Reservations under way", "hourglass_top", "billing.reservation"),
            Item("Metrics", "monitoring", "/metrics"),
            Item("API documentation", "menu_book", "/api/docs"),
        ),
    ),
    (
        "Access",
        (
            listing("Users", "manage_accounts", "auth.user"),
            listing("Groups", "group_work", "auth.group"),
            listing("Audit log", "history", "admin.logentry"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups with the links that this user may open; empty groups are left out."""
    groups = [
        {
            "title": title,
            "items": [
                {"title": item.title, "icon": item.icon, "link": item.link()}
                for item in items
                if not item.permission or request.user.has_perm(item.permission)
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
