"""Counts refusals by their reason."""

from collections import Counter
from datetime import timedelta

from django.db.models import Count, Sum
from django.utils import timezone

from billing.models import Refusal, RefusalCount


def last_day(most: int) -> list[tuple[str, int]]:
    """The commonest reasons of the last 24 hours with their counts, `most` at most."""
    since = timezone.now() - timedelta(days=1)
    kept = Refusal.objects.filter(created_at__gte=since).values_list("code")
    counted = RefusalCount.objects.filter(minute__gte=since).values_list("code")
    totals: Counter[str] = Counter()
    for code, count in kept.annotate(Count("pk")):
        totals[code] += count
    for code, count in counted.annotate(Sum("count")):
        totals[code] += count
    return totals.most_common(most)
