import django.contrib.postgres.fields
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('flags', '0007_refuse_truncate'),
    ]

    operations = [
        migrations.AlterField(
            model_name='flag',
            name='allocation',
            field=models.JSONField(blank=True, default=list, editable=False, help_text='The variant of each bucket; kept so that as few users as possible change variants.'),
        ),
        migrations.AlterField(
            model_name='flag',
            name='archived',
            field=models.BooleanField(default=False, help_text='Programs get their own default; left out of lists.'),
        ),
        migrations.AlterField(
            model_name='flag',
            name='default_variant',
            field=models.CharField(blank=True, help_text="What users outside rules and percentage get. Empty: 'off', or the default of the program.", max_length=60),
        ),
        migrations.AlterField(
            model_name='flag',
            name='expires_on',
            field=models.DateField(blank=True, help_text='When the flag and the code that uses it should be removed.', null=True),
        ),
        migrations.AlterField(
            model_name='flag',
            name='off_variant',
            field=models.CharField(blank=True, help_text="What everyone gets while it is off or killed. Empty: 'off', or the default of the program.", max_length=60),
        ),
        migrations.AlterField(
            model_name='flag',
            name='percent',
            field=models.DecimalField(blank=True, decimal_places=2, help_text='Share of the users who get it, from 0 to 100. Empty: only the targets.', max_digits=5, null=True, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)]),
        ),
        migrations.AlterField(
            model_name='flag',
            name='target_variant',
            field=models.CharField(blank=True, help_text='What the targets get. Empty: by the weights.', max_length=60),
        ),
        migrations.AlterField(
            model_name='flag',
            name='tiers',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), blank=True, default=list, help_text='Keys of target tiers, whose users get it whatever the rules say; with commas.', size=None),
        ),
        migrations.AlterField(
            model_name='flag',
            name='user_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=255), blank=True, default=list, help_text='Ids of target users, who get it whatever the rules say; with commas.', size=None),
        ),
        migrations.AlterField(
            model_name='flagevent',
            name='flag_name',
            field=models.CharField(help_text='Kept after the flag is deleted.', max_length=100),
        ),
        migrations.AlterField(
            model_name='prerequisite',
            name='variant',
            field=models.CharField(default='on', help_text='The variant that it must give.', max_length=60),
        ),
        migrations.AlterField(
            model_name='rule',
            name='name',
            field=models.CharField(blank=True, help_text='A name for people.', max_length=100),
        ),
        migrations.AlterField(
            model_name='variant',
            name='effect',
            field=models.JSONField(blank=True, default=dict, help_text='Its effect in the gateway: {"prompt_label", "model", "parameters"}.'),
        ),
        migrations.AlterField(
            model_name='variant',
            name='weight',
            field=models.PositiveSmallIntegerField(default=0, help_text='Share of the included users, in hundredths of a percent.', validators=[django.core.validators.MaxValueValidator(10000)]),
        ),
    ]
