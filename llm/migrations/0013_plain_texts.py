from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('llm', '0012_share_answers'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='cacheepoch',
            options={'ordering': ['-forgotten_at'], 'verbose_name': 'cache purge', 'verbose_name_plural': 'cache purges'},
        ),
        migrations.AlterField(
            model_name='breakeroverride',
            name='expires_at',
            field=models.DateTimeField(help_text='Then the breaker is automatic again.'),
        ),
        migrations.AlterField(
            model_name='cacheepoch',
            name='forgotten_at',
            field=models.DateTimeField(auto_now=True, verbose_name='purged at'),
        ),
    ]
