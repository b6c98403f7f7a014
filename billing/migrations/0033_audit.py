"""Changes of customers, keys, budgets, prices and alerts are recorded."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditLinks, AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0032_week_rollups"),
        ("core", "0011_audit"),
    ]
    operations = [
        AuditTable(
            "billing_team",
            "billing.team",
            label=["name"],
            key="key",
        ),
        AuditTable(
            "billing_tier",
            "billing.tier",
            label=["name"],
            key="key",
        ),
        AuditTable(
            "billing_customer",
            "billing.customer",
            label=["user_id", "team_id"],
            traffic_adds=True,
        ),
        AuditTable(
            "billing_apikey",
            "billing.apikey",
            label=["name", "prefix"],
            key="prefix",
            secret=["digest"],
        ),
        AuditTable(
            "billing_budget",
            "billing.budget",
            label=[
                "scope",
                "team_id",
                "customer_id:billing_customer:id:user_id",
                "api_key_id",
                "model",
                "tag",
                "period",
            ],
        ),
        AuditTable(
            "billing_price",
            "billing.price",
            label=["provider", "upstream_model"],
        ),
        AuditTable(
            "billing_alertchannel",
            "billing.alertchannel",
            label=["name"],
        ),
        AuditTable(
            "billing_alertrule",
            "billing.alertrule",
            label=["name"],
            left_out=["last_error"],
        ),
        AuditLinks(
            "billing_alertrule_channels",
            "billing.alertrule",
            field="channels",
            owner="alertrule_id:billing_alertrule:id:name",
            value="alertchannel_id:billing_alertchannel:id:name",
        ),
    ]
