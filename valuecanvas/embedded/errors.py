"""What can go wrong with an embedded engine, told with its remedy."""


class EngineError(Exception):
    """An engine cannot be had; the message says why and what to do about it."""
