"""Files of customers."""


def delete_expired() -> int:
    """Delete files whose time is over; how many."""
    return 0
