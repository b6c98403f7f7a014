"""Forgetting stored answers: a number in their names changes, and nothing is scanned."""

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
    """Forget the answers of `target`, from the next request on, in every process."""
    with transaction.atomic():
        row, _ = CacheEpoch.objects.select_for_update().get_or_create(target=target)
        row.value += 1
        row.save()
