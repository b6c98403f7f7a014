"""The database itself refuses to empty the table of attempts, which tells what they cost."""

from django.db import migrations

GUARD = """
CREATE TRIGGER llm_attempt_not_emptied BEFORE TRUNCATE ON llm_attempt
FOR EACH STATEMENT EXECUTE FUNCTION books_are_kept();
"""
NO_GUARD = "DROP TRIGGER llm_attempt_not_emptied ON llm_attempt;"


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0013_refuse_truncate"),
        ("llm", "0007_provider_key_origin"),
    ]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
