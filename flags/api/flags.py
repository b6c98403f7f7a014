"""Endpoints of flags: list, create, edit, delete, history."""

from typing import Any

from django.db.models import QuerySet

from flags import services
from flags.api.access import (
    CREATE,
    DELETE,
    READ,
    WRITE,
    FlagEndpoint,
    flag_change,
    flag_operation,
)
from flags.api.shapes import GivenEdit, GivenFlag, ShownFlagEvent
from flags.documents import document
from flags.models import Flag, FlagEvent
from valuecanvas.core.api.bodies import Text
from valuecanvas.core.api.endpoint import ListQuery, narrow


class FlagFilters(ListQuery):
    """The query of a list of flags."""

    tag = Text(40, "Flags with this tag.")
    search = Text(100, "In the name and the note.")


class FlagList(FlagEndpoint):
    """Lists all flags by name; creates one."""

    @flag_operation(
        "listFlags", "Flags", READ, query=FlagFilters, paged_by="name", refusals=[]
    )
    def get(self, asked: dict[str, Any]) -> "QuerySet[Flag]":
        rows = narrow(Flag.objects.all(), asked, ("name", "note"))
        found: QuerySet[Flag] = document.with_parts(rows)
        return found

    @flag_operation(
        "createFlag", "Create a flag", CREATE, body=GivenFlag, refusals=[], status=201
    )
    def post(self, asked: dict[str, Any]) -> Flag:
        reason = asked.pop("reason")
        return services.create_flag(asked, actor=self.actor, reason=reason)


class FlagDetail(FlagEndpoint):
    """One flag. Its name and kind never change. After a deletion callers get their default."""

    @flag_operation("getFlag", "One flag", READ)
    def get(self) -> Flag:
        return self.flag

    @flag_change("editFlag", "Edit a flag", WRITE, body=GivenEdit)
    def patch(self, asked: dict[str, Any]) -> Flag:
        settings = {name: v for name, v in asked.items() if name in document.EDITABLE}
        return services.edit_flag(self.flag, settings, **self.why(asked))

    @flag_operation(
        "deleteFlag", "Delete a flag", DELETE, answer=None, refusals=[400, 404]
    )
    def delete(self) -> None:
        services.delete_flag(self.flag, actor=self.actor)


class FlagHistory(FlagEndpoint):
    """Lists who did what, when and why; newest first."""

    @flag_operation(
        "listFlagHistory",
        "What happened to a flag",
        READ,
        answer=ShownFlagEvent,
        paged_by="-id",
    )
    def get(self) -> "QuerySet[FlagEvent]":
        return FlagEvent.objects.filter(flag=self.flag)
