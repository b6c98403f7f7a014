"""The database itself refuses to change a version's words, or what the audit says."""

from django.db import migrations

# Accounts may go: their names stay in a column of their own.
GUARD = """
CREATE FUNCTION prompt_version_is_immutable() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'A prompt version never changes; make a new one.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER prompt_version_immutable BEFORE UPDATE ON prompt_versions
FOR EACH ROW
WHEN ((to_jsonb(OLD) - 'author_id') IS DISTINCT FROM (to_jsonb(NEW) - 'author_id'))
EXECUTE FUNCTION prompt_version_is_immutable();

CREATE FUNCTION prompt_event_is_immutable() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'The audit of prompts never changes.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER prompt_event_immutable BEFORE UPDATE ON prompt_events
FOR EACH ROW
WHEN ((to_jsonb(OLD) - 'actor_id') IS DISTINCT FROM (to_jsonb(NEW) - 'actor_id'))
EXECUTE FUNCTION prompt_event_is_immutable();
"""
NO_GUARD = """
DROP TRIGGER prompt_event_immutable ON prompt_events;
DROP FUNCTION prompt_event_is_immutable();
DROP TRIGGER prompt_version_immutable ON prompt_versions;
DROP FUNCTION prompt_version_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("prompts", "0001_initial")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
