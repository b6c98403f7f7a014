"""The log level that an operator has set for a time."""

from django.db import models


class LogLevel(models.Model):
    """A level for all processes in the place of LOG_LEVEL, until it expires.

    Of several in force the one set last counts.
    """

    class Level(models.TextChoices):
        DEBUG = "debug"
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    level = models.CharField(max_length=10, choices=Level, default=Level.DEBUG)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "core_log_level"
        verbose_name = "log level"

    def __str__(self) -> str:
        return f"{self.level} until {self.expires_at:%Y-%m-%d %H:%M} UTC"
