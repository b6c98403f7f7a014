"""Labels: names that point at a version of a prompt."""

from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery

from prompts.models.prompt import Prompt
from prompts.models.version import PromptVersion
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.models import ConfigModel

# Digits alone would be read as the number of a version.
NAME = RegexValidator(
    r"\A(?!\d+\Z)[a-z0-9][a-z0-9_.-]*\Z",
    "Use small letters, digits, '_', '-' and '.', as in 'production', and not only "
    "digits.",
)


class Label(ConfigModel):
    """A name that points at one version. `production` is the live version."""

    config_kind = "prompt"
    config_key = "prompt_id"

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(max_length=40, validators=[NAME])
    version = models.ForeignKey(
        PromptVersion, on_delete=models.CASCADE, related_name="labels"
    )
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["prompt", "name"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "name"], name="prompt_label_once")
        ]

    def __str__(self) -> str:
        return self.name


def with_versions(rows: QuerySet[Prompt]) -> QuerySet[Prompt]:
    """`rows` with the numbers of the live and the newest version, in the same query."""
    live = Label.objects.filter(prompt=OuterRef("pk"), name=PRODUCTION)
    newest = PromptVersion.objects.filter(prompt=OuterRef("pk")).order_by("-number")
    return rows.annotate(
        production=Subquery(live.values("version__number")),
        latest=Subquery(newest.values("number")[:1]),
    )


class ProtectedLabel(models.Model):
    """A label that only some groups may move, for every prompt. Superusers always may."""

    name = models.CharField(
        max_length=40,
        primary_key=True,
        validators=[NAME],
        help_text="The label's name, e.g. 'production'.",
    )
    groups = models.ManyToManyField(
        Group,
        blank=True,
        help_text="Only members of these may move it. None: superusers only.",
    )
    keys_may_move = models.BooleanField(
        "API keys may move it",
        default=True,
        help_text="Keys with the scope 'prompts:publish'.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
