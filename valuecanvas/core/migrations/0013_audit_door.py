"""Changes of second factors and of links to the identity provider are recorded."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditTable

USER = "user_id:auth_user:id:username"


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0012_audit_tables"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [
        AuditTable(
            "mfa_authenticator",
            "mfa.authenticator",
            label=[USER, "type"],
            left_out=["last_used_at"],
            secret=["data"],
        ),
        AuditTable(
            "account_emailaddress", "account.emailaddress", label=[USER, "email"]
        ),
        AuditTable(
            "socialaccount_socialaccount",
            "socialaccount.socialaccount",
            label=[USER, "provider"],
            left_out=["last_login"],
            secret=["extra_data"],
        ),
        AuditTable(
            "socialaccount_socialapp",
            "socialaccount.socialapp",
            label=["name"],
            secret=["secret", "key", "settings"],
        ),
    ]
