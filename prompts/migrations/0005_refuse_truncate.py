"""The database itself refuses to empty the versions and the audit of prompts."""

from django.db import migrations

GUARD = """
CREATE TRIGGER prompt_version_not_emptied BEFORE TRUNCATE ON prompt_versions
FOR EACH STATEMENT EXECUTE FUNCTION prompt_history_is_kept();
CREATE TRIGGER prompt_event_not_emptied BEFORE TRUNCATE ON prompt_events
FOR EACH STATEMENT EXECUTE FUNCTION prompt_history_is_kept();
"""
NO_GUARD = """
DROP TRIGGER prompt_event_not_emptied ON prompt_events;
DROP TRIGGER prompt_version_not_emptied ON prompt_versions;
"""


class Migration(migrations.Migration):
    dependencies = [("prompts", "0004_kept_history")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
