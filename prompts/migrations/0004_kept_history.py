"""The database itself refuses to delete a version, or what the audit says."""

from django.db import migrations

# Prompts are archived, never deleted: so there is no exception for whole prompts.
GUARD = """
CREATE FUNCTION prompt_history_is_kept() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'Versions and the audit of prompts are kept; archive the prompt.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER prompt_version_kept BEFORE DELETE ON prompt_versions
FOR EACH ROW EXECUTE FUNCTION prompt_history_is_kept();
CREATE TRIGGER prompt_event_kept BEFORE DELETE ON prompt_events
FOR EACH ROW EXECUTE FUNCTION prompt_history_is_kept();
"""
NO_GUARD = """
DROP TRIGGER prompt_event_kept ON prompt_events;
DROP TRIGGER prompt_version_kept ON prompt_versions;
DROP FUNCTION prompt_history_is_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("prompts", "0003_schedules")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
