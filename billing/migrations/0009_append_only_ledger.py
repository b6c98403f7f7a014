"""The database itself refuses to change or delete what is in the ledger."""

from django.db import migrations

# Corrections are rows of their own, and nothing of the product changes or deletes one:
# so there is no exception. Adding rows costs nothing more.
GUARD = """
CREATE FUNCTION llm_usage_is_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only; book a correction.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER llm_usage_unchanged BEFORE UPDATE ON llm_usage
FOR EACH ROW EXECUTE FUNCTION llm_usage_is_append_only();
CREATE TRIGGER llm_usage_kept BEFORE DELETE ON llm_usage
FOR EACH ROW EXECUTE FUNCTION llm_usage_is_append_only();
"""
NO_GUARD = """
DROP TRIGGER llm_usage_kept ON llm_usage;
DROP TRIGGER llm_usage_unchanged ON llm_usage;
DROP FUNCTION llm_usage_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_usage_subject")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
