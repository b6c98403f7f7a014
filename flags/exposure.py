"""Counts of evaluations (exposures): stored by hour, read for charts."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db import connection
from django.db.models import Max

from flags.models import Exposure

KEPT = dt.timedelta(days=90)
# In the order of the unique key, so that concurrent processes don't deadlock.
ADD = """
INSERT INTO feature_flag_exposures (flag, hour, variant, count, last_at)
SELECT flag, date_trunc('hour', %(at)s::timestamptz), variant, count, %(at)s
FROM unnest(%(flags)s::text[], %(variants)s::text[], %(counts)s::bigint[])
     AS seen (flag, variant, count)
ORDER BY flag, variant
ON CONFLICT (flag, hour, variant) DO UPDATE SET
    count = feature_flag_exposures.count + excluded.count,
    last_at = greatest(feature_flag_exposures.last_at, excluded.last_at)
"""


class ExposureKey(NamedTuple):
    """A variant of a flag, whose evaluations are counted."""

    flag: str
    variant: str


def add(counts: Mapping[ExposureKey, int], at: dt.datetime) -> None:
    """Add `counts` to the hour of `at`. Raises DatabaseError."""
    rows = [(one.flag, one.variant, count) for one, count in counts.items()]
    flags, variants, numbers = (list(column) for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            ADD, {"at": at, "flags": flags, "variants": variants, "counts": numbers}
        )


def last_seen(flags: Iterable[str]) -> dict[str, dt.datetime]:
    """When each of `flags` was last evaluated; missing: not in 90 days."""
    rows = (
        Exposure.objects.filter(flag__in=list(flags))
        .order_by()
        .values_list("flag")
        .annotate(last=Max("last_at"))
    )
    return dict(rows)


def purge(now: dt.datetime) -> int:
    """Delete counts older than 90 days; the number of deleted rows."""
    deleted, _ = Exposure.objects.filter(hour__lt=now - KEPT).delete()
    return deleted
