"""The result of an evaluation."""

from typing import Any, NamedTuple

# Reasons and error codes of OpenFeature.
STATIC = "STATIC"
TARGETING_MATCH = "TARGETING_MATCH"
SPLIT = "SPLIT"
DISABLED = "DISABLED"
DEFAULT = "DEFAULT"
ERROR = "ERROR"
FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"


class Evaluation(NamedTuple):
    """The result of an evaluation.

    An empty `variant`: `value` is the caller's own default. `bucket` (of shares) and
    `variant_bucket` (of weights) are 0 to 9,999, None where not used. `error`
    is an error code of OpenFeature, or empty.
    """

    key: str
    value: Any
    variant: str
    reason: str
    rule: str | None = None
    bucket: int | None = None
    variant_bucket: int | None = None
    why: str = ""
    error: str = ""

    @property
    def is_included(self) -> bool:
        """Whether a setting gave the caller the variant; False for defaults."""
        return self.reason in (STATIC, TARGETING_MATCH, SPLIT) and self.variant != ""

    @property
    def explanation(self) -> str:
        """The reason in words."""
        parts = [self.why]
        if self.bucket is not None:
            parts.append(f"Bucket {self.bucket} of 10,000.")
        if self.variant_bucket is not None:
            parts.append(f"Bucket {self.variant_bucket} of the weights.")
        return " ".join(parts)
