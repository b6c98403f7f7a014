"""What the first-run seed wrote, so that it never writes over an operator."""

from django.db import models


class Seeded(models.Model):
    """One field as the seed last set it. While the row still says so, it may follow the
    environment; once an operator has changed it, it is the operator's."""

    name = models.CharField(primary_key=True, max_length=300)
    value = models.CharField(max_length=300)

    class Meta:
        db_table = "llm_seeded"

    def __str__(self) -> str:
        return self.name
