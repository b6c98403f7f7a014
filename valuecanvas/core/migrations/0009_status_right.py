"""The right to see the admin's Status page, which is about no model."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0008_webhook_about_index")]
    operations = [
        migrations.AlterModelOptions(
            name="givenright",
            options={
                "default_permissions": (),
                "permissions": [("view_status", "Can see the status page")],
            },
        ),
    ]
