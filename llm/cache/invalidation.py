"""Invalidates stored answers by raising a cache epoch, which is part of their keys."""

from django.db import transaction

from llm.models import CacheEpoch

EVERYTHING = "all"


def model(name: str) -> str:
    return f"model:{name}"


def customer(customer_id: object) -> str:
    return f"customer:{customer_id}"


def prompt(key: str) -> str:
    return f"prompt:{key}"


def purge(target: str) -> None:
    """Invalidate the answers of `target` in every process, from the next request."""
    with transaction.atomic():
        row, _ = CacheEpoch.objects.select_for_update().get_or_create(target=target)
        row.value += 1
        row.save()
