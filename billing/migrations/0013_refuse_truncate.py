"""The database itself refuses to empty a table of the books."""

from django.db import migrations

TABLES = ("billing_counter", "billing_idempotency", "billing_ledgercheck", "billing_reservation")  # fmt: skip
# Rows of these tables change and are purged one by one; nothing ever empties one.
GUARD = """
CREATE FUNCTION books_are_kept() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'The books are kept: % may not be emptied.', TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER llm_usage_not_emptied BEFORE TRUNCATE ON llm_usage
FOR EACH STATEMENT EXECUTE FUNCTION llm_usage_is_append_only();
""" + "".join(
    f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION books_are_kept();"
    for table in TABLES
)
NO_GUARD = (
    "DROP TRIGGER llm_usage_not_emptied ON llm_usage;"
    "DROP FUNCTION books_are_kept() CASCADE;"
)


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_cache_write_rates")]
    operations = [migrations.RunSQL(GUARD, NO_GUARD)]
