"""A change of a person's rights counts as a change of the keys that the person issued."""

from django.db import migrations

KEYS = """
CREATE FUNCTION billing_bump_keys_of(names text[]) RETURNS void AS $$
WITH keys AS (
    SELECT prefix FROM billing_apikey WHERE issuer = ANY(names) AND revoked_at IS NULL
), bumped AS (
    UPDATE core_epoch SET value = value + 1
    WHERE id = 1 AND EXISTS (SELECT FROM keys) RETURNING value
)
INSERT INTO core_change (epoch, kind, key, created_at)
SELECT bumped.value, 'api_key', keys.prefix, now() FROM bumped, keys
$$ LANGUAGE sql;

CREATE FUNCTION billing_user_changed() RETURNS trigger AS $$
BEGIN
    PERFORM billing_bump_keys_of(ARRAY[OLD.username, NEW.username]);
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER billing_user_changed AFTER UPDATE ON auth_user FOR EACH ROW
WHEN ((OLD.username, OLD.is_active, OLD.is_staff, OLD.is_superuser)
      IS DISTINCT FROM (NEW.username, NEW.is_active, NEW.is_staff, NEW.is_superuser))
EXECUTE FUNCTION billing_user_changed();
CREATE TRIGGER billing_user_came AFTER INSERT ON auth_user
FOR EACH ROW EXECUTE FUNCTION billing_user_changed();
CREATE TRIGGER billing_user_gone AFTER DELETE ON auth_user
FOR EACH ROW EXECUTE FUNCTION billing_user_changed();

CREATE FUNCTION billing_user_rights_changed() RETURNS trigger AS $$
BEGIN
    PERFORM billing_bump_keys_of(ARRAY(
        SELECT DISTINCT username FROM auth_user JOIN changed ON changed.user_id = auth_user.id
    ));
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE FUNCTION billing_group_rights_changed() RETURNS trigger AS $$
BEGIN
    PERFORM billing_bump_keys_of(ARRAY(
        SELECT DISTINCT username FROM auth_user
        JOIN auth_user_groups member ON member.user_id = auth_user.id
        JOIN changed USING (group_id)
    ));
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
"""
RIGHTS = {
    "auth_user_groups": "billing_user_rights_changed",
    "auth_user_user_permissions": "billing_user_rights_changed",
    "auth_group_permissions": "billing_group_rights_changed",
}
# PostgreSQL wants a trigger for each kind of change.
TRIGGERS = "".join(
    f"""
CREATE TRIGGER billing_rights_{verb} AFTER {event} ON {table}
REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"""
    for table, function in RIGHTS.items()
    for verb, event, rows in (("given", "INSERT", "NEW"), ("taken", "DELETE", "OLD"))
)
NO_TRIGGERS = """
DROP FUNCTION billing_user_changed CASCADE;
DROP FUNCTION billing_user_rights_changed CASCADE;
DROP FUNCTION billing_group_rights_changed CASCADE;
DROP FUNCTION billing_bump_keys_of;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0030_rollup_indexes"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunSQL(KEYS + TRIGGERS, NO_TRIGGERS)]
