"""Cache epochs: raising one invalidates every cached answer whose key contains it."""

from django.db import models

from valuecanvas.core.models import ConfigModel


class CacheEpoch(ConfigModel):
    """How often the stored answers of one target were purged.

    `target` is 'all', 'model:NAME', 'customer:UUID' or 'prompt:KEY'.
    """

    config_kind = "cache_epoch"

    target = models.CharField(primary_key=True, max_length=220)
    value = models.PositiveIntegerField(default=0)
    forgotten_at = models.DateTimeField("purged at", auto_now=True)

    class Meta:
        ordering = ["-forgotten_at"]
        verbose_name = "cache purge"
        verbose_name_plural = "cache purges"

    def __str__(self) -> str:
        return self.target
