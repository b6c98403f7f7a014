import django.core.validators
import django.db.models.deletion
import valuecanvas.core.cache_policy
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('prompts', '0007_share_answers'),
    ]

    operations = [
        migrations.AlterField(
            model_name='arm',
            name='control',
            field=models.BooleanField(default=False, help_text='The arm that the others are compared with.'),
        ),
        migrations.AlterField(
            model_name='arm',
            name='version',
            field=models.ForeignKey(blank=True, help_text='Empty: the live version.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='arms', to='prompts.promptversion'),
        ),
        migrations.AlterField(
            model_name='experiment',
            name='allocation',
            field=models.JSONField(blank=True, default=list, help_text='The arm of each bucket; kept by the gateway so that as few callers as possible change arms.'),
        ),
        migrations.AlterField(
            model_name='experiment',
            name='alpha',
            field=models.FloatField(default=0.05, help_text='Accepted risk of claiming a difference that does not exist.', validators=[django.core.validators.MinValueValidator(0.001), django.core.validators.MaxValueValidator(0.5)]),
        ),
        migrations.AlterField(
            model_name='experiment',
            name='conditions',
            field=models.JSONField(blank=True, default=list, help_text='Only callers who match all: a list of {"attribute", "operator", "value"}.'),
        ),
        migrations.AlterField(
            model_name='experiment',
            name='key',
            field=models.CharField(help_text='Short name that never changes; the salt of its buckets.', max_length=60, unique=True, validators=[django.core.validators.RegexValidator('\\A[a-z0-9](?:[a-z0-9_-]|\\.(?=[a-z0-9]))*\\Z', "Use small letters, digits, '_', '-', and single dots between words, as in 'canvas.generate'.")]),
        ),
        migrations.AlterField(
            model_name='prompt',
            name='cache_policy',
            field=models.CharField(choices=valuecanvas.core.cache_policy.cache_policies, default='auto', help_text='Of answers made from this prompt. “Never” of the model or the key applies here too.', max_length=6, verbose_name='answers are reused'),
        ),
        migrations.AlterField(
            model_name='prompt',
            name='key',
            field=models.CharField(help_text="What clients request, e.g. 'canvas.generate'. Never changes.", max_length=200, unique=True, validators=[django.core.validators.RegexValidator('\\A[a-z0-9](?:[a-z0-9_-]|\\.(?=[a-z0-9]))*\\Z', "Use small letters, digits, '_', '-', and single dots between words, as in 'canvas.generate'.")]),
        ),
        migrations.AlterField(
            model_name='promptversion',
            name='author_name',
            field=models.CharField(help_text='Who wrote it; kept after the account is deleted.', max_length=200),
        ),
        migrations.AlterField(
            model_name='promptversion',
            name='template',
            field=models.TextField(blank=True, help_text='The text of a text prompt.'),
        ),
        migrations.AlterField(
            model_name='rollout',
            name='guards',
            field=models.JSONField(blank=True, default=list, help_text='Metrics that end it automatically: a list of {"metric", "worse_by", "minimum_requests"}.'),
        ),
        migrations.AlterField(
            model_name='rollout',
            name='steps',
            field=models.JSONField(blank=True, default=list, help_text='The next steps: a list of {"share", "after_minutes"}.'),
        ),
    ]
