"""Teams in the admin."""

from typing import Any

from django.contrib import admin

from billing.accounting import spend
from billing.admin.workspace import WorkspaceAdmin
from billing.budget_scopes import BudgetScope
from billing.models import Team
from valuecanvas.core.admin.columns import column
from valuecanvas.core.templatetags import figures


@admin.register(Team)
class TeamAdmin(WorkspaceAdmin):
    counted = BudgetScope.TEAM
    list_display = ("name", "key", "requests_today", "spent_today", "created_at")
    fixed_fields = ("key",)
    search_fields = ("key", "name")
    fields = ("key", "name")
    empty_text = "A team groups customers under one budget. Teams are optional."

    def attach(self, rows: list[Any]) -> None:
        found = spend.progress_today(BudgetScope.TEAM, [team.key for team in rows])
        for team in rows:
            team.standing = found.get(team.key, spend.QuotaProgress())

    requests_today = column("Requests today", "standing.used", figures.commas)
    spent_today = column("Spent today", "standing.spent", figures.micros)
