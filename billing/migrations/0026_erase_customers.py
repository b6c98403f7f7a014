"""The ledger lets a person's names be erased, and nothing else be changed."""

from django.db import migrations

# For both forms of the table, plain and in partitions: the triggers stay as they are.
GUARD = """
CREATE OR REPLACE FUNCTION llm_usage_is_append_only() RETURNS trigger AS $$
DECLARE
    names text[] := ARRAY['user_id', 'end_user', 'subject'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF current_setting('valuecanvas.erased_customer', true) = OLD.customer_id::text
            AND NEW.user_id = 'erased' AND NEW.end_user = '' AND NEW.subject IS NULL
            AND to_jsonb(NEW) - names = to_jsonb(OLD) - names
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'The ledger is append-only; book a correction.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
"""
NO_ERASURE = """
CREATE OR REPLACE FUNCTION llm_usage_is_append_only() RETURNS trigger AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only; book a correction.'
        USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0025_requests_of_partitions")]
    operations = [
        migrations.AlterModelOptions(
            name="customer",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("export_customer", "Can export all data of a customer"),
                    ("erase_customer", "Can erase a customer's names and contents"),
                ],
            },
        ),
        migrations.RunSQL(GUARD, NO_ERASURE),
    ]
