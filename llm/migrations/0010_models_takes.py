"""Models say what they take. Of the seeded ones only the local model does."""

import django.contrib.postgres.fields
from django.db import migrations, models


def say_of_the_local_model(apps, schema_editor):
    Model = apps.get_model("llm", "Model")
    Model.objects.filter(
        name="smollm2-135m-instruct", routes__provider="local", takes=[]
    ).update(takes=["text", "schema"])


class Migration(migrations.Migration):
    dependencies = [("llm", "0009_model_context")]

    operations = [
        migrations.AddField(
            model_name="model",
            name="takes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("text", "Text"),
                        ("pictures", "Pictures"),
                        ("sound", "Sound"),
                        ("files", "Files"),
                        ("tools", "Tools"),
                        ("schema", "Schema of the answer"),
                    ],
                    max_length=10,
                ),
                blank=True,
                default=list,
                help_text="A request for more is refused. None ticked: all is sent on. It holds also where a route of another model leads to an upstream model of this name.",
                size=None,
            ),
        ),
        migrations.RunPython(say_of_the_local_model, migrations.RunPython.noop),
    ]
