"""What makes stored answers forgotten: numbers inside their names."""

from django.db import models

from valuecanvas.core.models import ConfigModel


class CacheEpoch(ConfigModel):
    """How often the answers of one target were forgotten.

    `target` is 'all', 'model:NAME', 'customer:UUID' or 'prompt:KEY'.
    """

    config_kind = "cache_epoch"

    target = models.CharField(primary_key=True, max_length=220)
    value = models.PositiveIntegerField(default=0)
    forgotten_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-forgotten_at"]
        verbose_name = "purge of stored answers"
        verbose_name_plural = "purges of stored answers"

    def __str__(self) -> str:
        return self.target
