from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0007_prompts_and_flags'),
    ]

    operations = [
        migrations.AddField(
            model_name='usage',
            name='subject',
            field=models.BigIntegerField(help_text='A digest of whom the variant was drawn for: not always the user.', null=True),
        ),
    ]
