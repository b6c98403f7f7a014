"""The database itself refuses to change or delete what happened to a flag."""

from django.db import migrations

GUARD = """
CREATE FUNCTION flag_event_is_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'The audit of flags is append-only.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER flag_event_unchanged BEFORE UPDATE ON feature_flag_events
FOR EACH ROW
WHEN ((to_jsonb(OLD) - 'actor_id' - 'flag_id')
    IS DISTINCT FROM (to_jsonb(NEW) - 'actor_id' - 'flag_id'))
EXECUTE FUNCTION flag_event_is_append_only();
CREATE TRIGGER flag_event_kept BEFORE DELETE ON feature_flag_events
FOR EACH ROW EXECUTE FUNCTION flag_event_is_append_only();
"""
NO_GUARD = """
DROP TRIGGER flag_event_kept ON feature_flag_events;
DROP TRIGGER flag_event_unchanged ON feature_flag_events;
DROP FUNCTION flag_event_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("flags", "0002_variants_rules_schedules")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
