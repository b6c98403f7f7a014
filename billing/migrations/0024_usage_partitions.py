"""Makes llm_usage a partitioned table, of which the present table is the first partition.

No row is copied or read: the check that 0023 validated proves the bound of the partition,
and its indexes are those that the new table wants.
"""

from django.db import migrations, models

FUNCTIONS = """
CREATE FUNCTION llm_usage_first_id(month date) RETURNS uuid AS $$
    SELECT (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$ LANGUAGE sql IMMUTABLE;
-- A partition without bounds of a month, but with the guard that no parent hands on.
CREATE FUNCTION llm_usage_new_partition(name text) RETURNS void AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE llm_usage INCLUDING ALL)', name);
    EXECUTE format(
        'CREATE TRIGGER llm_usage_not_emptied BEFORE TRUNCATE ON %I '
        'FOR EACH STATEMENT EXECUTE FUNCTION llm_usage_is_append_only()', name);
END
$$ LANGUAGE plpgsql;
CREATE FUNCTION llm_usage_add_month(month date) RETURNS void AS $$
DECLARE
    name text := 'llm_usage_' || to_char(month, 'YYYY_MM');
BEGIN
    PERFORM llm_usage_new_partition(name);
    EXECUTE format(
        'ALTER TABLE llm_usage ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
        llm_usage_first_id(month),
        llm_usage_first_id((month + interval '1 month')::date));
END
$$ LANGUAGE plpgsql;
"""
NO_FUNCTIONS = """
DROP FUNCTION llm_usage_add_month(date);
DROP FUNCTION llm_usage_new_partition(text);
DROP FUNCTION llm_usage_first_id(date);
"""
TRIGGERS = """
CREATE TRIGGER llm_usage_unchanged BEFORE UPDATE ON llm_usage
FOR EACH ROW EXECUTE FUNCTION llm_usage_is_append_only();
CREATE TRIGGER llm_usage_kept BEFORE DELETE ON llm_usage
FOR EACH ROW EXECUTE FUNCTION llm_usage_is_append_only();
CREATE TRIGGER llm_usage_corrected AFTER INSERT ON llm_usage FOR EACH ROW
WHEN (NEW.corrects IS NOT NULL) EXECUTE FUNCTION llm_usage_note_correction();
"""
# A view means a table, whatever its name becomes.
VIEWS = """
    SELECT array_agg(format('CREATE OR REPLACE VIEW %s AS %s', v, pg_get_viewdef(v)))
    INTO views FROM (
        SELECT DISTINCT ev_class::regclass AS v FROM pg_depend d
        JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = ev_class
        WHERE refobjid = 'llm_usage'::regclass AND c.relkind = 'v') AS dependent;
"""
AGAIN = """
    FOR one IN SELECT unnest(views) AS made LOOP
        EXECUTE one.made;
    END LOOP;
"""
SWAP = f"""
DO $$
DECLARE
    one record;
    bound date;
    views text[];
BEGIN
    {VIEWS}
    SELECT to_date(right(conname, 7), 'YYYY_MM') INTO STRICT bound FROM pg_constraint
    WHERE conrelid = 'llm_usage'::regclass AND conname LIKE 'llm\\_usage\\_before\\_%';
    ALTER TABLE llm_usage RENAME TO llm_usage_history;
    DROP INDEX llm_usage_corrected_once;
    DROP TRIGGER llm_usage_unchanged ON llm_usage_history;
    DROP TRIGGER llm_usage_kept ON llm_usage_history;
    DROP TRIGGER llm_usage_corrected ON llm_usage_history;
    CREATE TABLE llm_usage (LIKE llm_usage_history INCLUDING DEFAULTS)
    PARTITION BY RANGE (id);
    CREATE TRIGGER llm_usage_not_emptied BEFORE TRUNCATE ON llm_usage
    FOR EACH STATEMENT EXECUTE FUNCTION llm_usage_is_append_only();
    FOR one IN SELECT indexname AS name, indexdef AS made FROM pg_indexes
               WHERE tablename = 'llm_usage_history' AND schemaname = current_schema()
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', one.name,
                       replace(one.name, 'llm_usage', 'llm_usage_history'));
        IF one.name = 'llm_usage_pkey' THEN
            ALTER TABLE llm_usage ADD PRIMARY KEY (id);
        ELSE
            EXECUTE replace(one.made, '.llm_usage_history ', '.llm_usage ');
        END IF;
    END LOOP;
    -- Who may read the table may go on.
    FOR one IN SELECT privilege_type AS kind, grantee FROM pg_class, aclexplode(relacl)
               WHERE oid = 'llm_usage_history'::regclass AND grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON llm_usage TO %s', one.kind, CASE one.grantee
                       WHEN 0 THEN 'PUBLIC' ELSE one.grantee::regrole::text END);
    END LOOP;
    EXECUTE format(
        'ALTER TABLE llm_usage ATTACH PARTITION llm_usage_history '
        'FOR VALUES FROM (MINVALUE) TO (%L)', llm_usage_first_id(bound));
    EXECUTE format('ALTER TABLE llm_usage_history DROP CONSTRAINT llm_usage_before_%s',
                   to_char(bound, 'YYYY_MM'));
    -- For ids that are no UUIDv7, and for months that nobody has added.
    PERFORM llm_usage_new_partition('llm_usage_other');
    ALTER TABLE llm_usage ATTACH PARTITION llm_usage_other DEFAULT;
    FOR one IN SELECT generate_series(bound, bound + interval '3 months', '1 month') AS month
    LOOP
        PERFORM llm_usage_add_month(one.month::date);
    END LOOP;
    {AGAIN}
END
$$;
"""
MERGE = f"""
DO $$
DECLARE
    one record;
    bound date;
    views text[];
BEGIN
    {VIEWS}
    ALTER TABLE llm_usage DETACH PARTITION llm_usage_history;
    INSERT INTO llm_usage_history SELECT * FROM llm_usage;
    ALTER TABLE llm_usage RENAME TO llm_usage_parts;
    ALTER TABLE llm_usage_history RENAME TO llm_usage;
    {AGAIN}
    DROP TABLE llm_usage_parts;
    FOR one IN SELECT indexname AS name FROM pg_indexes
               WHERE tablename = 'llm_usage' AND schemaname = current_schema()
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', one.name,
                       replace(one.name, 'llm_usage_history', 'llm_usage'));
    END LOOP;
    CREATE UNIQUE INDEX llm_usage_corrected_once ON llm_usage (corrects)
    WHERE corrects IS NOT NULL;
    bound := date_trunc('month', now() AT TIME ZONE 'utc' + interval '2 months');
    EXECUTE format(
        'ALTER TABLE llm_usage ADD CONSTRAINT llm_usage_before_%s CHECK (id < %L) NOT VALID',
        to_char(bound, 'YYYY_MM'), llm_usage_first_id(bound));
END
$$;
"""


class Migration(migrations.Migration):
    safe_because = "Names change hands within one short lock; no row is read or copied."
    dependencies = [("billing", "0023_usage_validated")]
    operations = [
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(SWAP, TRIGGERS),
        migrations.RunSQL(TRIGGERS, MERGE),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint("usage", "llm_usage_corrected_once")
            ]
        ),
    ]
