"""Columns of the database that are meant to hold plain text, and why; no other may.

Nowhere is a secret meant to be, nor what a caller asked or a provider answered.
"""

# What callers write for others to read.
CALLERS_TEXT = {
    "llm_usage.end_user": "the caller's own name for its user, to report and erase by",
    "llm_feedback.comment": "a rating's comment, for the people who own the prompt",
}
# What operators call things, and the records of who changed them.
OPERATORS_TEXT = {
    "auth_user.username": "a colleague's log-in name",
    "auth_group.name": "a group's name",
    "billing_alertrule.name": "a rule's name",
    "billing_alertrule.model": "the name of the model that it watches",
    "billing_alertrule.provider": "the name of the provider that it watches",
    "billing_team.key": "a team's short name, as in reports and limits",
    "billing_team.name": "a team's name",
    "waffle_switch.name": "a switch's name",
    "waffle_switch.note": "what a switch is for",
    "prompts_prompt.key": "a prompt's name, by which programs fetch it",
    "prompts_prompt.description": "what a prompt is for",
    "prompts_prompt.folder": "where a prompt is listed",
    "prompts_prompt.tags": "what a prompt is found by",
    "prompts_protectedlabel.name": "a label's name",
    "prompts_protectedlabel_groups.protectedlabel_id": "the same: it is the label's key",
    "prompt_events.details": "the names above, as a change of a prompt found and left them",
    "feature_flag_events.reason": "why a flag was changed, in the operator's words",
    "core_change.key": "the key of a changed row, for processes that load it again",
    "core_audit_entry.object_id": "the key of a changed row",
    "core_audit_entry.label": "the name of a changed row",
    "core_audit_entry.before": "the columns of a changed row, without secrets",
    "core_audit_entry.after": "the columns of a changed row, without secrets",
    "core_audit_entry.reason": "why something was changed, in the operator's words",
    "django_admin_log.object_id": "the key of a changed row",
    "django_admin_log.object_repr": "the name of a changed row",
}
