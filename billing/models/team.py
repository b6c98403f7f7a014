"""Teams: customers and keys that share a budget."""

from django.db import models

from valuecanvas.core.models import ConfigModel


class Team(ConfigModel):
    """A group of customers; the ledger names it by its key, which never changes."""

    config_kind = "team"

    key = models.SlugField(primary_key=True, max_length=60)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name
