"""Feature flags on django-waffle's custom flag model."""

from django.apps import AppConfig
from django.core import checks
from django.utils.functional import cached_property
from django.utils.module_loading import import_string


class FlagsConfig(AppConfig):
    name = "flags"
    verbose_name = "Flags"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # The module needs loaded models.
        expired = import_string("flags.checks.check_expired_flags")
        checks.register(expired, checks.Tags.database)

    @cached_property
    def store(self) -> object:
        """The process's flags for Django code; the module needs loaded models."""
        return import_string("flags.flag_store.FlagStore")()
