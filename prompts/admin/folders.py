"""Folders of prompts: navigation and filters."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.http import urlencode
from unfold.contrib.filters.admin import DropdownFilter

from prompts.models import Prompt
from valuecanvas.core.admin.filters import ConditionFilter


@dataclass(frozen=True, slots=True)
class Place:
    """A link to a folder. `here`: it is the current one."""

    title: str
    query: str
    here: bool = False


class FolderFilter(DropdownFilter):  # type: ignore[misc]
    """Prompts of a folder and of its subfolders."""

    title = "folder"
    parameter_name = "folder"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in tree(names())]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        folder = self.value()
        return queryset.filter(within(folder)) if folder else queryset


class ArchivedFilter(ConditionFilter):
    title = "archived"
    parameter_name = "archived"
    usual = Q(archived=False)

    def conditions(self) -> list[tuple[str, str, Q]]:
        return [("only", "Archived", Q(archived=True)), ("too", "Both", Q())]


def within(folder: str) -> Q:
    """Prompts in `folder` or its subfolders."""
    return Q(folder=folder) | Q(folder__startswith=f"{folder}/")


def names() -> list[str]:
    """Every folder with a prompt that is not archived."""
    used = Prompt.objects.filter(archived=False).exclude(folder="")
    return list(used.order_by("folder").values_list("folder", flat=True).distinct())


def tree(folders: list[str]) -> list[str]:
    """`folders` with their parent folders, sorted."""
    return sorted({name for folder in folders for name in _path(folder)})


def places(here: str) -> list[Place]:
    """The path to the folder `here`, and its direct subfolders."""
    trail = _path(here) if here else []
    below = [name for name in tree(names()) if _parent(name) == here]
    return [
        Place("All prompts", "?", here == ""),
        *(_place(name, here=name == here) for name in trail),
        *(_place(name) for name in below),
    ]


def _path(folder: str) -> list[str]:
    """The parent folders, outermost first, and the folder itself."""
    return list(accumulate(folder.split("/"), "{}/{}".format))


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0]


def _place(folder: str, *, here: bool = False) -> Place:
    title = folder.rpartition("/")[2]
    return Place(title, f"?{urlencode({'folder': folder})}", here)
