"""Changes of providers, models, routes, breakers and queues are recorded."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("llm", "0017_provider_further_fields"),
        ("core", "0011_audit"),
    ]
    operations = [
        AuditTable(
            "llm_provider",
            "llm.provider",
            label=["name"],
            key="key",
            secret=["api_key_sealed"],
        ),
        AuditTable(
            "llm_model",
            "llm.model",
            label=["name"],
            key="name",
        ),
        AuditTable(
            "llm_route",
            "llm.route",
            label=["model_id", "provider_id", "upstream_model"],
        ),
        AuditTable(
            "llm_breakeroverride",
            "llm.breakeroverride",
            label=["provider_id", "upstream_model", "state"],
        ),
        AuditTable(
            "llm_cacheepoch",
            "llm.cacheepoch",
            label=["target"],
            key="target",
            left_out=["forgotten_at"],
        ),
        AuditTable(
            "llm_job_pause",
            "llm.jobpause",
            label=["type"],
            key="type",
        ),
        AuditTable(
            "llm_job_recurring",
            "llm.recurringjob",
            label=["name"],
            left_out=["error"],
            secret=["input"],
        ),
    ]
