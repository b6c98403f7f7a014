"""The audit: its table, which only grows, and the triggers that write it."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.functions.datetime
from django.db import migrations, models

# Who acts is a setting of the session (valuecanvas/core/audit/audit_context.py); without it
# somebody works with the database by hand.
SIGN = """
CREATE FUNCTION core_audit_sign() RETURNS trigger AS $$
DECLARE
    who jsonb := coalesce(nullif(current_setting('valuecanvas.audit', true), ''), '{}');
BEGIN
    NEW.at := clock_timestamp();
    NEW.actor := left(coalesce(who->>'actor', 'database user ' || session_user), 200);
    NEW.actor_kind := left(coalesce(who->>'kind', 'system'), 20);
    NEW.address := left(coalesce(who->>'address', host(inet_client_addr()), ''), 200);
    NEW.request_id := left(coalesce(who->>'request_id', ''), 64);
    NEW.reason := coalesce(who->>'reason', '');
    RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER core_audit_signed BEFORE INSERT ON core_audit_entry
FOR EACH ROW EXECUTE FUNCTION core_audit_sign();
"""
NO_SIGN = """
DROP TRIGGER core_audit_signed ON core_audit_entry;
DROP FUNCTION core_audit_sign();
"""
# Two exceptions, each for one transaction: entries older than they have to be kept, and
# texts that name an erased customer.
GUARD = """
CREATE FUNCTION core_audit_is_append_only() RETURNS trigger AS $$
DECLARE
    act text := current_setting('valuecanvas.audit_exception', true);
    texts text[] := ARRAY['label', 'reason', 'before', 'after'];
BEGIN
    IF TG_OP = 'UPDATE' AND act = 'erasure' THEN
        IF to_jsonb(NEW) - texts = to_jsonb(OLD) - texts THEN
            RETURN NEW;
        END IF;
    ELSIF TG_OP = 'DELETE' AND act = 'purge' THEN
        IF OLD.at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'The audit is append-only.' USING ERRCODE = 'check_violation';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER core_audit_kept BEFORE UPDATE OR DELETE ON core_audit_entry
FOR EACH ROW EXECUTE FUNCTION core_audit_is_append_only();
CREATE TRIGGER core_audit_not_emptied BEFORE TRUNCATE ON core_audit_entry
FOR EACH STATEMENT EXECUTE FUNCTION core_audit_is_append_only();
"""
NO_GUARD = """
DROP TRIGGER core_audit_not_emptied ON core_audit_entry;
DROP TRIGGER core_audit_kept ON core_audit_entry;
DROP FUNCTION core_audit_is_append_only();
"""
# `parts` are columns with commas; one that refers to a row whose name is wanted is
# written as column:table:key:name.
LABEL = """
CREATE FUNCTION core_audit_label(one jsonb, parts text) RETURNS text AS $$
DECLARE
    part text;
    path text[];
    name text;
    found text[] := '{}';
BEGIN
    FOREACH part IN ARRAY string_to_array(parts, ',') LOOP
        path := string_to_array(part, ':');
        name := one->>path[1];
        IF cardinality(path) = 4 AND name IS NOT NULL THEN
            -- A literal takes the key's type, so that its index finds the row.
            EXECUTE format('SELECT %I::text FROM %I WHERE %I = %L',
                path[4], path[2], path[3], name) INTO name;
        END IF;
        IF name <> '' THEN
            found := array_append(found, name);
        END IF;
    END LOOP;
    RETURN left(array_to_string(found, ' '), 400);
END
$$ LANGUAGE plpgsql;
"""
# Arguments: kind, column of the key, and columns with commas: the label's, those left
# out, the secret ones. See valuecanvas/core/audit/tables.py.
ROW = """
CREATE FUNCTION core_audit_row() RETURNS trigger AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ELSE '{}' END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ELSE '{}' END;
    one jsonb := CASE WHEN TG_OP = 'DELETE' THEN old_row ELSE new_row END;
    same text[];
    name text;
BEGIN
    old_row := old_row - string_to_array(TG_ARGV[3], ',');
    new_row := new_row - string_to_array(TG_ARGV[3], ',');
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(key) INTO same FROM jsonb_each(old_row)
        WHERE value = new_row->key;
        old_row := old_row - coalesce(same, '{}');
        new_row := new_row - coalesce(same, '{}');
        IF new_row = '{}' THEN
            RETURN NULL;
        END IF;
    END IF;
    FOREACH name IN ARRAY string_to_array(TG_ARGV[4], ',') LOOP
        IF nullif(nullif(old_row->>name, ''), '\\x') IS NOT NULL THEN
            old_row := jsonb_set(old_row, ARRAY[name], '"***"');
        END IF;
        IF nullif(nullif(new_row->>name, ''), '\\x') IS NOT NULL THEN
            new_row := jsonb_set(new_row, ARRAY[name], '"***"');
        END IF;
    END LOOP;
    INSERT INTO core_audit_entry (action, kind, object_id, label, before, after)
    VALUES (
        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted'
            ELSE 'changed' END,
        TG_ARGV[0], coalesce(one->>TG_ARGV[1], ''), core_audit_label(one, TG_ARGV[2]),
        nullif(old_row, '{}'), nullif(new_row, '{}'));
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
"""
# Arguments: kind and field, column of the owner, and parts of a label: the owner's name
# and the value's.
LINK = """
CREATE FUNCTION core_audit_link() RETURNS trigger AS $$
DECLARE
    one jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    value jsonb := jsonb_build_object(TG_ARGV[1], core_audit_label(one, TG_ARGV[4]));
BEGIN
    INSERT INTO core_audit_entry (action, kind, object_id, label, before, after)
    VALUES (CASE TG_OP WHEN 'DELETE' THEN 'removed' ELSE 'added' END,
        TG_ARGV[0], one->>TG_ARGV[2], core_audit_label(one, TG_ARGV[3]),
        CASE WHEN TG_OP = 'DELETE' THEN value END,
        CASE WHEN TG_OP <> 'DELETE' THEN value END);
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
"""
# Argument: kind. TRUNCATE fires no trigger of a row.
EMPTIED = """
CREATE FUNCTION core_audit_emptied() RETURNS trigger AS $$
BEGIN
    INSERT INTO core_audit_entry (action, kind, label)
    VALUES ('emptied', TG_ARGV[0], TG_TABLE_NAME);
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0010_log_level")]
    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='when')),
                ('actor', models.CharField(db_default='', max_length=200, verbose_name='who')),
                ('actor_kind', models.CharField(db_default='', max_length=20, verbose_name='kind of actor')),
                ('address', models.CharField(db_default='', max_length=200, verbose_name='from')),
                ('request_id', models.CharField(db_default='', max_length=64, verbose_name='request')),
                ('reason', models.TextField(db_default='', verbose_name='why')),
                ('action', models.CharField(max_length=60)),
                ('kind', models.CharField(db_default='', max_length=100)),
                ('object_id', models.CharField(db_default='', max_length=200, verbose_name='id')),
                ('label', models.CharField(db_default='', max_length=400, verbose_name='object')),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit',
                'db_table': 'core_audit_entry',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['at'], name='core_audit_at'), models.Index(fields=['object_id', 'kind', '-id'], name='core_audit_object'), models.Index(fields=['kind', '-id'], name='core_audit_kind'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.search.SearchVector('label', 'reason', config='simple'), name='core_audit_words'), models.Index(fields=['actor', '-id'], name='core_audit_actor'), models.Index(fields=['action', '-id'], name='core_audit_action'), models.Index(condition=models.Q(('request_id', ''), _negated=True), fields=['request_id'], name='core_audit_request')],
            },
        ),
        migrations.RunSQL(SIGN, NO_SIGN),
        migrations.RunSQL(GUARD, NO_GUARD),
        migrations.RunSQL(
            LABEL, "DROP FUNCTION core_audit_label(jsonb, text);"
        ),
        migrations.RunSQL(ROW, "DROP FUNCTION core_audit_row();"),
        migrations.RunSQL(LINK, "DROP FUNCTION core_audit_link();"),
        migrations.RunSQL(EMPTIED, "DROP FUNCTION core_audit_emptied();"),
    ]
