"""The admin of API keys, which checks the names of models."""

from django.contrib import admin
from django.core.exceptions import ValidationError

from billing.admin.api_key import ApiKeyAdmin
from billing.admin.api_key_form import ApiKeyForm
from billing.models import ApiKey
from llm.models import Model


class KnownModelsForm(ApiKeyForm):
    """Refuses names of models that the gateway doesn't have."""

    def clean_allowed_models(self) -> list[str]:
        names: list[str] = self.cleaned_data["allowed_models"]
        known = set(Model.objects.filter(pk__in=names).values_list("pk", flat=True))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValidationError(f"There is no model named {', '.join(unknown)}.")
        return names


@admin.register(ApiKey)
class KnownModelsApiKeyAdmin(ApiKeyAdmin):
    form = KnownModelsForm
