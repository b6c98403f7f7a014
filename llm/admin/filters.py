"""Filters by models, providers, prompts and teams."""

from billing.models import Team
from llm.models import Model, Provider, Route
from prompts.models import Prompt
from valuecanvas.core.admin.filters import MOST_NAMES, NamesFilter


def upstream_models() -> list[str]:
    """The upstream models of all routes, to choose from."""
    names = Route.objects.order_by("upstream_model").values_list(
        "upstream_model", flat=True
    )
    return list(names.distinct()[:MOST_NAMES])


class ModelFilter(NamesFilter):
    title = "model"
    parameter_name = "model"
    rows = Model.objects.values_list("pk", "pk")


class ProviderFilter(NamesFilter):
    title = "provider"
    parameter_name = "provider"
    rows = Provider.objects.values_list("key", "name")


class PromptFilter(NamesFilter):
    title = "prompt"
    parameter_name = "prompt_key"
    rows = Prompt.objects.order_by("key").values_list("key", "key")


class TeamFilter(NamesFilter):
    title = "team"
    parameter_name = "team"
    rows = Team.objects.values_list("key", "name")
