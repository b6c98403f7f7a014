"""The feature flag, in place of django-waffle's own."""

from waffle.models import AbstractUserFlag


class Flag(AbstractUserFlag):
    """A django-waffle flag in a table of ours, so that it can grow."""

    class Meta(AbstractUserFlag.Meta):
        abstract = False
        db_table = "feature_flags"
