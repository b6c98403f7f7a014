"""Changes of prompts are recorded in the audit of all kinds, too."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditLinks, AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("prompts", "0008_plain_texts"),
        ("core", "0011_audit"),
    ]
    operations = [
        AuditTable(
            "prompts_prompt",
            "prompts.prompt",
            label=["key"],
        ),
        AuditTable(
            "prompt_versions",
            "prompts.promptversion",
            label=["prompt_id:prompts_prompt:id:key", "number"],
            left_out=["template", "messages", "variables"],
        ),
        AuditTable(
            "prompts_label",
            "prompts.label",
            label=["prompt_id:prompts_prompt:id:key", "name"],
            left_out=["moved_at"],
        ),
        AuditTable(
            "prompt_rollouts",
            "prompts.rollout",
            label=["prompt_id:prompts_prompt:id:key"],
        ),
        AuditTable(
            "prompt_experiments",
            "prompts.experiment",
            label=["key"],
        ),
        AuditTable(
            "prompt_arms",
            "prompts.arm",
            label=["experiment_id:prompt_experiments:id:key", "name"],
        ),
        AuditTable(
            "prompts_protectedlabel",
            "prompts.protectedlabel",
            label=["name"],
            key="name",
        ),
        AuditLinks(
            "prompts_protectedlabel_groups",
            "prompts.protectedlabel",
            field="groups",
            owner="protectedlabel_id",
            value="group_id:auth_group:id:name",
        ),
    ]
