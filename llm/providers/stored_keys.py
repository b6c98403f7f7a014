"""Keeps the stored keys of providers up to date with their references.

A key is stored encrypted beside its reference, so that the gateway serves without AWS. It
is read again by the schedule, and once when a provider refuses it (llm/upstream).
"""

import structlog
from django.core.cache import cache
from django.db import transaction

from llm.models import Provider
from llm.providers.key_reference import UnreadableReference, read_key
from valuecanvas.core.crypto import UnreadableSecret

log = structlog.get_logger("llm.providers")
# Refused keys are looked up again at most so often, by all processes together.
LEAST_AGE_S = 30


def refresh_key(provider_key: str) -> bool:
    """Read a provider's key again. Whether it has changed; it is saved then."""
    row = Provider.objects.exclude(api_key_ref="").filter(pk=provider_key).first()
    if row is None:
        return False
    try:
        key = read_key(row.api_key_ref)
    except UnreadableReference as error:
        log.warning("provider.key_unreadable", provider=row.pk, error=str(error))
        return False
    changed = _replace_key(row.pk, row.api_key_ref, key)
    if changed:
        log.info("provider.key_refreshed", provider=row.pk)
    return changed


def _replace_key(provider_key: str, reference: str, key: str) -> bool:
    """Save the key, unless it is the same or an operator has changed the reference."""
    with transaction.atomic():
        rows = Provider.objects.select_for_update().filter(api_key_ref=reference)
        row = rows.filter(pk=provider_key).first()
        if row is None or _has(row, key):
            return False
        row.set_key(key)
        row.save(update_fields=["api_key_sealed"])
    return True


def _has(row: Provider, key: str) -> bool:
    try:
        return row.has_key and key == row.open_key()
    except UnreadableSecret:
        return False


def read_after_refusal(provider_key: str) -> str:
    """The key after a provider refused it: read again, unless somebody just did."""
    if cache.add(f"provider-key:{provider_key}", 1, timeout=LEAST_AGE_S):
        refresh_key(provider_key)
    return Provider.objects.get(pk=provider_key).open_key()


def refresh_keys() -> int:
    """Read the keys of all references again. How many changed."""
    rows = Provider.objects.exclude(api_key_ref="").values_list("pk", flat=True)
    return sum(refresh_key(pk) for pk in rows)
