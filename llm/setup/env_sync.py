"""Updates seeded providers from the environment, until an operator changes them."""

from urllib.parse import urlsplit

from django.conf import settings

from llm.models import Provider, Route, Seeded
from llm.setup import catalogue


def own(row: Provider | Route, *fields: str) -> None:
    """Let these fields of a new row follow the environment."""
    Seeded.objects.bulk_create(
        Seeded(name=_name(row, field), value=str(getattr(row, field)))
        for field in fields
    )


def follow() -> None:
    """Update the seeded providers from the settings of this start.

    A provider is on if its key or URL is configured. Stand-ins for other providers'
    models are on only while neither Together.ai nor OpenAI is: a canned answer must not
    look like theirs. A field that an operator changed is left alone. Nothing is written
    if nothing changed, so the epoch stays.
    """
    for row in catalogue.PROVIDERS:
        provider = Provider.objects.filter(pk=row.key).first()
        if provider:
            _follow_provider(provider, row)
    real = (catalogue.TOGETHER, catalogue.OPENAI)
    alone = not Provider.objects.filter(pk__in=real, enabled=True).exists()
    for route in Route.objects.filter(provider__in=catalogue.STAND_INS):
        if catalogue.is_stand_in(route.model_id, route.provider_id):
            _set(route, "enabled", alone)


def _follow_provider(provider: Provider, row: catalogue.ProviderRow) -> None:
    url = with_version(getattr(settings, row.url))
    if url:
        _set(provider, "base_url", url)
    keyed = provider.has_key or bool(settings.PROVIDER_KEYS.get(row.api_key_env))
    _set(provider, "enabled", bool(url) and (keyed or not row.api_key_env))


def with_version(url: str) -> str:
    """`url` up to and with /v1, as a provider's row has it; '' for ''."""
    if not url:
        return ""
    bare = url.rstrip("/")
    return bare if urlsplit(bare).path else f"{bare}/v1"


def _set(row: Provider | Route, field: str, value: str | bool) -> None:
    mark = Seeded.objects.filter(pk=_name(row, field)).first()
    held = getattr(row, field)
    if mark is None or mark.value != str(held) or held == value:
        return
    setattr(row, field, value)
    row.save(update_fields=[field])
    mark.value = str(value)
    mark.save()


def _name(row: Provider | Route, field: str) -> str:
    return f"{row.config_kind}:{row.pk}:{field}"
