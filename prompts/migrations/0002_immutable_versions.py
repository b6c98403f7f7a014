"""The database itself refuses to change a version's words."""

from django.db import migrations

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
"""
NO_GUARD = """
DROP TRIGGER prompt_version_immutable ON prompt_versions;
DROP FUNCTION prompt_version_is_immutable();
"""


class Migration(migrations.Migration):
    dependencies = [("prompts", "0001_initial")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
