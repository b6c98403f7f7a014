"""What an allocation of buckets gives each owner."""

from valuecanvas.core.targeting.bucketing import Allocation


def weights_of(allocation: Allocation) -> dict[str, int]:
    """How many buckets each owner has."""
    found: dict[str, int] = {}
    for span in allocation:
        found[span.owner] = found.get(span.owner, 0) + span.end - span.start
    return found
