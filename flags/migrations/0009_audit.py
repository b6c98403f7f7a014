"""Changes of flags are recorded in the audit of all kinds, too."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditLinks, AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0008_plain_texts"),
        ("core", "0011_audit"),
    ]
    operations = [
        AuditTable(
            "feature_flags",
            "flags.flag",
            label=["name"],
            left_out=["modified", "revision"],
        ),
        AuditTable(
            "feature_flag_rules",
            "flags.rule",
            label=["flag_id:feature_flags:id:name", "name"],
        ),
        AuditTable(
            "feature_flag_prerequisites",
            "flags.prerequisite",
            label=["flag_id:feature_flags:id:name", "on_id:feature_flags:id:name"],
        ),
        AuditTable(
            "feature_flag_variants",
            "flags.variant",
            label=["flag_id:feature_flags:id:name", "name"],
        ),
        AuditTable(
            "feature_flag_schedule",
            "flags.scheduledchange",
            label=["flag_id:feature_flags:id:name", "kind"],
        ),
        AuditLinks(
            "feature_flags_users",
            "flags.flag",
            field="users",
            owner="flag_id:feature_flags:id:name",
            value="user_id:auth_user:id:username",
        ),
        AuditLinks(
            "feature_flags_groups",
            "flags.flag",
            field="groups",
            owner="flag_id:feature_flags:id:name",
            value="group_id:auth_group:id:name",
        ),
    ]
