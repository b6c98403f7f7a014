"""Bind stored keys to scheme, host and port; they were bound to host and port alone."""

from urllib.parse import urlsplit

from django.db import migrations
from django.db.models import Model

from llm.providers.address_guard import origin
from valuecanvas.core import crypto


def _old(row: Model) -> str:
    return f"provider:{row.key}:{urlsplit(row.base_url).netloc}"


def _new(row: Model) -> str:
    return f"provider:{row.key}:{origin(row.base_url)}"


def _sealed_again(apps, before, after) -> None:
    Provider = apps.get_model("llm", "Provider")
    # No change of configuration: nothing that is in memory is another thing now.
    for row in Provider.objects.exclude(api_key_sealed=None):
        try:
            key = crypto.unseal(bytes(row.api_key_sealed), before(row))
        except crypto.UnreadableSecret:
            continue  # As unreadable as it was.
        sealed = crypto.seal(key, after(row))
        Provider.objects.filter(pk=row.pk).update(api_key_sealed=sealed)


def bind_to_origin(apps, schema_editor) -> None:
    _sealed_again(apps, _old, _new)


def bind_to_host(apps, schema_editor) -> None:
    _sealed_again(apps, _new, _old)


class Migration(migrations.Migration):
    dependencies = [("llm", "0006_provider_validators")]

    operations = [migrations.RunPython(bind_to_origin, bind_to_host)]
