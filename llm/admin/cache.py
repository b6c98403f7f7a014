"""Purges of the response cache in the admin."""

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html

from billing.admin.customer_name import customer_link, names_of
from billing.models import Customer
from llm.cache import invalidation
from llm.models import CacheEpoch, Model
from prompts.models import Prompt
from valuecanvas.core.admin.bases import display
from valuecanvas.core.admin.forms import ConsoleFields
from valuecanvas.core.admin.guard import Effects, GuardedAdmin

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
MOST_NAMED = 10


class PurgeForm(ConsoleFields, forms.ModelForm):
    """Which stored answers to purge. Nothing chosen: all of them."""

    model_name = forms.ModelChoiceField(
        Model.objects.all(),
        required=False,
        label="Model",
        help_text="Purge the stored answers of one model.",
    )
    customer = forms.CharField(
        required=False,
        max_length=200,
        help_text="Or those of one customer: the user id, or the customer's own id. Leave "
        "all fields empty to purge every stored answer.",
    )

    prompt = forms.ModelChoiceField(
        Prompt.objects.all(),
        required=False,
        help_text="Or those made from one prompt.",
    )

    class Meta:
        model = CacheEpoch
        fields = ()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        model, user = data.get("model_name"), data.get("customer")
        prompt = data.get("prompt")
        if sum(map(bool, (model, user, prompt))) > 1:
            self.add_error(
                "customer", "Choose only one: a model, a customer or a prompt."
            )
        elif prompt:
            self.instance.target = invalidation.prompt(prompt.key)
        elif model:
            self.instance.target = invalidation.model(model.name)
        elif user:
            self.instance.target = invalidation.customer(self._customer_id(user))
        else:
            self.instance.target = invalidation.EVERYTHING
        return data

    def _customer_id(self, user_id: str) -> object:
        own_id = Q(pk=user_id) if UUID.fullmatch(user_id) else Q()
        found = list(Customer.objects.filter(Q(user_id=user_id) | own_id)[:MOST_NAMED])
        if len(found) == 1:
            return found[0].pk
        problem = f"there is no customer '{user_id}'."
        if found:
            ids = ", ".join(f"{one.pk} for {one}" for one in found)
            problem = f"several teams have a customer '{user_id}'. Give an id: {ids}."
        self.add_error("customer", f"Not done: {problem}")
        return ""

    def _get_validation_exclusions(self) -> set[str]:
        # The same target may be purged again: its row counts up.
        return {*super()._get_validation_exclusions(), "target"}  # type: ignore[misc]


@admin.register(CacheEpoch)
class CacheEpochAdmin(GuardedAdmin):
    form = PurgeForm
    list_display_links = None
    list_display = ("what", "times", "forgotten_at")
    search_fields = ("target",)
    empty_text = (
        "No stored answers were purged so far. Add a purge to remove those of a model, a "
        "customer or a prompt, or all; it applies from the next request on."
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A number that starts again would bring purged answers back.
        return False

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: Any
    ) -> None:
        invalidation.purge(obj.target)

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        if after.target != invalidation.EVERYTHING:
            return {}
        return {
            "purge": "All stored answers are purged, those of every customer, model and "
            "prompt: the next identical requests are sent to providers and billed."
        }

    def attach(self, rows: list[Any]) -> None:
        ids = [row.target.partition(":")[2] for row in rows if _of_customer(row)]
        named = names_of(ids)
        for row in rows:
            row.called = named.get(row.target.partition(":")[2], "")

    @display(description="Times", ordering="value")
    def times(self, row: CacheEpoch) -> int:
        return row.value

    @display(description="Purged answers", ordering="target")
    def what(self, row: Any) -> str:
        if row.target == invalidation.EVERYTHING:
            return "All"
        kind, _, name = row.target.partition(":")
        if _of_customer(row):
            return format_html("Customer {}", customer_link(name, row.called or name))
        return f"{kind.capitalize()} {name}"


def _of_customer(row: CacheEpoch) -> bool:
    return row.target.startswith("customer:")
