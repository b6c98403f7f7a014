"""Models that clients ask for, and the routes that serve them."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from llm.models.provider import Provider
from llm.request.takes import Takes
from valuecanvas.core.cache_policy import policy_field
from valuecanvas.core.models import ConfigModel


def seconds(default: int, help_text: str) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(
        default=default,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text=help_text,
    )


class Model(ConfigModel):
    """A name that clients send, its limits and its timeouts."""

    config_kind = "model"

    class Kind(models.TextChoices):
        CHAT = "chat", "Chat and responses"
        EMBEDDING = "embedding", "Embeddings"

    class CacheScope(models.TextChoices):
        CUSTOMER = "customer", "Each customer"
        TEAM = "team", "The customer's team"
        GLOBAL = "global", "Everyone"

    name = models.CharField(
        primary_key=True, max_length=200, help_text="As clients write it."
    )
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.CHAT)
    enabled = models.BooleanField(default=True)
    max_output_tokens = models.PositiveIntegerField(
        default=4096,
        validators=[MinValueValidator(1)],
        help_text="The most output tokens that the model can give.",
    )
    context_tokens = models.PositiveIntegerField(
        "context length",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=(
            "Tokens of prompt and answer together: the least that any of its routes "
            "takes. Answers are asked for no longer than what a prompt leaves of it. "
            "Empty: not known."
        ),
    )
    takes = ArrayField(
        models.CharField(max_length=10, choices=Takes.choices),
        default=list,
        blank=True,
        help_text="A request for more is refused. None ticked: all is sent on. It holds "
        "also where a route of another model leads to an upstream model of this name.",
    )
    cache_policy = policy_field(
        "Identical requests are answered again, and share one call. Variety is asked for "
        "by a temperature above 0, or more than one answer."
    )
    cache_scope = models.CharField(
        max_length=10,
        choices=CacheScope.choices,
        default=CacheScope.CUSTOMER,
        help_text="Who shares stored answers. A customer's own is the safe choice.",
    )
    first_token_s = seconds(20, "Wait for the first token; 120 for reasoning models.")
    between_tokens_s = seconds(15, "Longest pause inside a stream.")
    total_stream_s = seconds(300, "Longest streamed answer.")
    total_s = seconds(120, "Longest answer that is not streamed.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        permissions = [
            ("use_playground", "Can send requests from the playground"),
            ("share_answers", "Can share stored answers beyond one customer"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        least = self.first_token_s + self.between_tokens_s
        wrong = f"At least first token + between tokens: {least} s."
        names = ("total_stream_s", "total_s")
        if self.takes and Takes.TEXT not in self.takes:
            raise ValidationError({"takes": "Tick text too, or nothing at all."})
        if short := {name: wrong for name in names if getattr(self, name) < least}:
            raise ValidationError(short)


class Route(ConfigModel):
    """One way to serve a model. Lowest priority first; weights share equals."""

    config_kind = "route"

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="routes")
    provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, related_name="routes"
    )
    upstream_model = models.CharField(
        max_length=200, help_text="As the provider names it."
    )
    priority = models.PositiveSmallIntegerField(
        default=1, help_text="1 is tried first, then 2, and so on."
    )
    weight = models.PositiveSmallIntegerField(
        default=100,
        validators=[MaxValueValidator(10_000)],
        help_text="Share among routes of equal priority. 0: only as the last of them.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["model", "priority", "-weight"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_model"],
                name="llm_route_once",
                violation_error_message="This model has that route already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model_id} → {self.provider_id}:{self.upstream_model}"
