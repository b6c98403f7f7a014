"""The error of embedded engines."""


class EngineError(Exception):
    """An engine is not available; the message says why and what to do."""
