"""The database itself refuses to empty the audit of flags."""

from django.db import migrations

GUARD = """
CREATE TRIGGER flag_event_not_emptied BEFORE TRUNCATE ON feature_flag_events
FOR EACH STATEMENT EXECUTE FUNCTION flag_event_is_append_only();
"""
NO_GUARD = "DROP TRIGGER flag_event_not_emptied ON feature_flag_events;"


class Migration(migrations.Migration):
    dependencies = [("flags", "0006_purge_schedule")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
