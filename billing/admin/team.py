"""Teams in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from billing.accounting import spend
from billing.models import Team
from valuecanvas.core.admin.bases import Admin, display
from valuecanvas.core.templatetags import figures


@admin.register(Team)
class TeamAdmin(Admin):
    list_display = ("name", "key", "requests_today", "spent_today", "created_at")
    search_fields = ("key", "name")
    fields = ("key", "name")
    empty_text = "A team groups customers under one budget. Teams are optional."

    def attach(self, rows: list[Any]) -> None:
        found = spend.today("t", [team.key for team in rows])
        for team in rows:
            team.standing = found.get(team.key, spend.Standing())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key"] if obj else []

    @display(description="Requests today")
    def requests_today(self, team: Any) -> str:
        return figures.grouped(team.standing.used)

    @display(description="Spent today")
    def spent_today(self, team: Any) -> str:
        return figures.micros(team.standing.spent)
