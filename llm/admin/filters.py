"""Filters by names that the configuration knows."""

from billing.models import Team
from llm.models import Model, Provider, Route
from prompts.models import Prompt
from valuecanvas.core.admin.filters import NamesFilter

MOST_NAMES = 300


def upstream_models() -> list[str]:
    """The names that routes use at providers, to choose from."""
    names = Route.objects.order_by("upstream_model").values_list(
        "upstream_model", flat=True
    )
    return list(names.distinct()[:MOST_NAMES])


class ModelFilter(NamesFilter):
    title = "model"
    parameter_name = "model"

    def names(self) -> list[tuple[str, str]]:
        return [
            (one, one)
            for one in Model.objects.values_list("pk", flat=True)[:MOST_NAMES]
        ]


class ProviderFilter(NamesFilter):
    title = "provider"
    parameter_name = "provider"

    def names(self) -> list[tuple[str, str]]:
        return list(Provider.objects.values_list("key", "name")[:MOST_NAMES])


class PromptFilter(NamesFilter):
    title = "prompt"
    parameter_name = "prompt_key"

    def names(self) -> list[tuple[str, str]]:
        rows = Prompt.objects.order_by("key").values_list("key", flat=True)
        return [(key, key) for key in rows[:MOST_NAMES]]


class TeamFilter(NamesFilter):
    title = "team"
    parameter_name = "team"

    def names(self) -> list[tuple[str, str]]:
        return list(Team.objects.values_list("key", "name")[:MOST_NAMES])
