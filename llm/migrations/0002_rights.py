"""The rights to use the playground and to set a provider's endpoint."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("llm", "0001_initial")]

    operations = [
        migrations.AlterModelOptions(
            name="model",
            options={
                "ordering": ["name"],
                "permissions": [
                    ("use_playground", "Can send requests from the playground")
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="provider",
            options={
                "ordering": ["key"],
                "permissions": [
                    ("set_provider_endpoint", "Can set base URLs and keys")
                ],
            },
        ),
    ]
