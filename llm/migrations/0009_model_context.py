"""How much a model takes; of the models that every installation began with, filled in."""

from django.core.validators import MinValueValidator
from django.db import migrations, models

_KNOWN = {
    "meta-llama/Llama-3-70b-chat-hf": 8192,
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": 128_000,
    "gpt-4o-mini": 128_000,
    "gpt-4o": 128_000,
    "gpt-5-mini": 400_000,
    "text-embedding-3-small": 8192,
    "smollm2-135m-instruct": 4096,
}


def fill(apps, schema_editor):
    rows = apps.get_model("llm", "Model").objects
    for name, tokens in _KNOWN.items():
        rows.filter(name=name).update(context_tokens=tokens)


class Migration(migrations.Migration):
    dependencies = [("llm", "0008_refuse_truncate")]

    operations = [
        migrations.AddField(
            model_name="model",
            name="context_tokens",
            field=models.PositiveIntegerField(
                "context length",
                blank=True,
                null=True,
                validators=[MinValueValidator(1)],
                help_text=(
                    "Tokens of prompt and answer together: the least that any of its "
                    "routes takes. Answers are asked for no longer than what a prompt "
                    "leaves of it. Empty: not known."
                ),
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
