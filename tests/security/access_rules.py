"""Who may call which route: the expected matrix (S16). A route without a rule fails.

Read it as the answer to 'who may do this?'; the tests compare it with what the routes do.
"""

from typing import NamedTuple

# -- REST: a key needs the scope, a person (staff) the right; '' for nobody of the kind --


class Rest(NamedTuple):
    scope: str
    right: str = ""
    # A scope that will do, too.
    instead: str = ""


_READ_PROMPTS = Rest("prompts:read", "prompts.view_prompt")
_ADD_PROMPT = Rest("prompts:write", "prompts.add_prompt")
_WRITE_PROMPT = Rest("prompts:write", "prompts.change_prompt")
_PUBLISH = Rest("prompts:publish", "prompts.publish_prompt")
_READ_EXPERIMENTS = Rest("prompts:read", "prompts.view_experiment")
_READ_FLAGS = Rest("flags:read", "flags.view_flag")
_ADD_FLAG = Rest("flags:write", "flags.add_flag")
_WRITE_FLAG = Rest("flags:write", "flags.change_flag")
_KILL_FLAG = Rest("flags:write", "flags.kill_flag")
_DELETE_FLAG = Rest("flags:write", "flags.delete_flag")
_READ_CHAOS = Rest("chaos:read", "llm.view_chaosrun")
_USAGE = Rest("admin", "billing.view_usage", instead="llm")

REST: dict[str, dict[str, Rest]] = {
    "api/prompts": {"GET": _READ_PROMPTS, "POST": _ADD_PROMPT},
    "api/prompts/<str:key>": {"GET": _READ_PROMPTS, "PATCH": _WRITE_PROMPT, "DELETE": _PUBLISH},
    "api/prompts/<str:key>/restore": {"POST": _PUBLISH},
    "api/prompts/<str:key>/history": {"GET": _READ_PROMPTS},
    "api/prompts/<str:key>/versions": {"GET": _READ_PROMPTS, "POST": _WRITE_PROMPT},
    "api/prompts/<str:key>/versions/<str:version>": {"GET": _READ_PROMPTS},
    "api/prompts/<str:key>/diff": {"GET": _READ_PROMPTS},
    "api/prompts/<str:key>/compile": {"POST": _READ_PROMPTS},
    "api/prompts/<str:key>/labels": {"GET": _READ_PROMPTS},
    "api/prompts/<str:key>/labels/<str:name>": {"GET": _READ_PROMPTS, "PUT": _PUBLISH, "DELETE": _PUBLISH},
    "api/prompts/<str:key>/rollback": {"POST": _PUBLISH},
    "api/prompts/<str:key>/rollouts": {"GET": _READ_PROMPTS, "POST": _PUBLISH},
    "api/prompts/<str:key>/rollout": {"GET": _READ_PROMPTS},
    "api/prompts/<str:key>/rollout/share": {"POST": _PUBLISH},
    "api/prompts/<str:key>/rollout/pause": {"POST": _PUBLISH},
    "api/prompts/<str:key>/rollout/resume": {"POST": _PUBLISH},
    "api/prompts/<str:key>/rollout/finish": {"POST": _PUBLISH},
    "api/prompts/<str:key>/rollout/rollback": {"POST": _PUBLISH},
    "api/prompts/<str:key>/metrics": {"GET": _READ_PROMPTS},
    "api/experiments": {"GET": _READ_EXPERIMENTS},
    "api/experiments/<str:key>": {"GET": _READ_EXPERIMENTS},
    "api/flags": {"GET": _READ_FLAGS, "POST": _ADD_FLAG},
    "api/flags/<str:key>": {"GET": _READ_FLAGS, "PATCH": _WRITE_FLAG, "DELETE": _DELETE_FLAG},
    "api/flags/<str:key>/history": {"GET": _READ_FLAGS},
    "api/flags/<str:key>/evaluate": {"POST": _READ_FLAGS},
    "api/flags/<str:key>/enable": {"POST": _WRITE_FLAG},
    "api/flags/<str:key>/disable": {"POST": _WRITE_FLAG},
    "api/flags/<str:key>/kill": {"POST": _KILL_FLAG},
    "api/flags/<str:key>/revive": {"POST": _KILL_FLAG},
    "api/flags/<str:key>/archive": {"POST": _WRITE_FLAG},
    "api/flags/<str:key>/restore": {"POST": _WRITE_FLAG},
    "api/flags/<str:key>/revert": {"POST": _WRITE_FLAG},
    "api/flags/<str:key>/schedule": {"GET": _READ_FLAGS, "POST": _WRITE_FLAG},
    "api/flags/<str:key>/schedule/<int:number>": {"DELETE": _WRITE_FLAG},
    "api/flags/<str:key>/ramp": {"POST": _WRITE_FLAG},
    "api/queue/metrics": {"GET": Rest("queue:read", "llm.view_job")},
    "api/chaos/runs": {"GET": _READ_CHAOS},
    "api/chaos/runs/<str:run_id>": {"GET": _READ_CHAOS},
    "api/customers/<path:user_id>": {
        "GET": Rest("admin", "billing.view_customer"),
        "PATCH": Rest("admin", "billing.change_customer"),
    },
    "api/usage/me": {"GET": Rest("llm")},
    "api/usage/report": {"GET": _USAGE},
    "api/usage/export": {"GET": _USAGE},
}  # fmt: skip

# -- Pages and documents for everybody, without a log-in ---------------------------------

OPEN = {
    "": {"GET", "POST", "PUT", "PATCH", "DELETE"},  # leads to the log-in
    "favicon.ico": {"GET", "POST", "PUT", "PATCH", "DELETE"},
    "usage": {"GET"},  # asks for a key, which a POST sends
    "api/schema": {"GET"},
    "api/docs": {"GET"},
    "api/redoc": {"GET"},
    "api/<path:rest>": set[str](),  # 404
}

# -- The gateway: a key needs the scope; a person's session counts for nothing here -------

ANYONE, ANY_KEY, LLM, EVALUATE = "anyone", "any key", "llm", "flags:evaluate"

GATEWAY: dict[str, dict[str, str]] = {
    "api/llm/callbacks": {"GET": LLM},
    "api/llm/callbacks/<str:callback_id>": {"DELETE": LLM},
    "api/llm/callbacks/<str:callback_id>/rotate": {"POST": LLM},
    "api/llm/jobs": {"GET": LLM, "POST": LLM},
    "api/llm/jobs/<str:job_id>": {"GET": LLM},
    "api/llm/jobs/<str:job_id>/result": {"GET": LLM},
    "api/llm/jobs/<str:job_id>/events": {"GET": LLM},
    "api/llm/jobs/<str:job_id>/cancel": {"POST": LLM},
    "api/llm/jobs/<str:job_id>/retry": {"POST": LLM},
    "api/llm/batches": {"GET": LLM, "POST": LLM},
    "api/llm/batches/<str:batch_id>": {"GET": LLM},
    "api/llm/batches/<str:batch_id>/results": {"GET": LLM},
    "api/llm/batches/<str:batch_id>/cancel": {"POST": LLM},
    "v1/files": {"GET": LLM, "POST": LLM},
    "v1/files/<str:file_id>": {"GET": LLM, "DELETE": LLM},
    "v1/files/<str:file_id>/content": {"GET": LLM},
    "v1/batches": {"GET": LLM, "POST": LLM},
    "v1/batches/<str:batch_id>": {"GET": LLM},
    "v1/batches/<str:batch_id>/cancel": {"POST": LLM},
    "v1/chat/completions": {"POST": LLM},
    "v1/embeddings": {"POST": LLM},
    "v1/responses": {"POST": LLM},
    "api/llm/complete": {"POST": LLM},
    # Of the caller's own requests alone.
    "v1/feedback": {"POST": ANY_KEY},
    "v1/requests/<str:request_id>": {"GET": ANY_KEY},
    "v1/models": {"GET": ANY_KEY},
    "v1/models/<path:name>": {"GET": ANY_KEY},
    "ofrep/v1/evaluate/flags": {"POST": EVALUATE},
    "ofrep/v1/evaluate/flags/<str:key>": {"POST": EVALUATE},
    "api/prompts/<str:key>/fetch": {"GET": "prompts:read"},
    # For monitors; from other addresses a token is asked for (test_monitor_access.py).
    "api/llm/health": {"GET": ANYONE},
    "health/live": {"GET": ANYONE},
    "health/ready": {"GET": ANYONE},
    "metrics": {"GET": ANYONE},
}

# -- The admin: what its standard pages need is the right of that name ---------------------

# What can be done with a model there at all, by whoever has the right.
MODELS = {
    "admin.logentry": "view",
    "backups.backup": "view",
    "billing.alertchannel": "view add change delete",
    "billing.alertevent": "view",
    "billing.alertrule": "view add change delete",
    "billing.apikey": "view add change",
    "billing.budget": "view add change delete",
    "billing.counter": "view",
    "billing.customer": "view add change delete",
    "billing.idempotentreplay": "view",
    "billing.ledgercheck": "view",
    "billing.price": "view add change delete",
    "billing.refusal": "view",
    "billing.request": "view",
    "billing.reservation": "view",
    "billing.team": "view add change delete",
    "billing.tier": "view add change delete",
    "billing.usage": "view",
    "core.auditentry": "view",
    "core.loglevel": "view add change delete",
    "core.webhookdelivery": "view",
    "core.webhookendpoint": "view",
    "django_celery_beat.clockedschedule": "view add change delete",
    "django_celery_beat.crontabschedule": "view add change delete",
    "django_celery_beat.intervalschedule": "view add change delete",
    "django_celery_beat.periodictask": "view add change delete",
    "django_celery_beat.solarschedule": "view add change delete",
    "flags.flag": "view add change delete",
    "flags.flagevent": "view",
    "llm.attempt": "view",
    "llm.breakerevent": "view",
    "llm.breakeroverride": "view add change delete",
    "llm.cacheepoch": "view add",
    "llm.chaosrun": "view",
    "llm.chaoswindow": "view",
    "llm.feedback": "view",
    "llm.job": "view",
    "llm.jobbatch": "view",
    "llm.jobfile": "view",
    "llm.model": "view add change delete",
    # Adding one sets where it is, see below.
    "llm.provider": "view change delete",
    "llm.recurringjob": "view add change delete",
    "llm.route": "view add change delete",
    "prompts.experiment": "view add change delete",
    "prompts.prompt": "view add change",
    "prompts.promptevent": "view",
    "prompts.protectedlabel": "view add change delete",
    "waffle.sample": "view add change delete",
    "waffle.switch": "view add change delete",
}
# Nobody but a superuser changes these, whatever rights he has; the right lets look.
SUPERUSERS_ONLY = ("auth.user", "auth.group", "llm.chaosexperiment")

STAFF, SUPERUSER = "staff", "superuser"

# All other pages by the name of their URL: the rights that are needed, all of them.
PAGES: dict[str, str] = {
    "index": STAFF,
    "app_list": "any right there",
    "rights": STAFF,
    "search": STAFF,
    "autocomplete": "the right to view what is searched",
    "view_on_site": STAFF,
    "password_change": STAFF,
    "password_change_done": STAFF,
    "login": ANYONE,
    "logout": ANYONE,
    "invitation": ANYONE,
    "jsi18n": ANYONE,
    "metrics": "billing.view_usage",
    "metrics_text": "billing.view_usage",
    "status": "core.view_status",
    "auth_user_invite_page": SUPERUSER,
    "auth_user_invited": SUPERUSER,
    "auth_user_new_link": SUPERUSER,
    "auth_user_withdraw": SUPERUSER,
    "auth_user_reset_factors_page": SUPERUSER,
    "auth_user_password_change": SUPERUSER,
    "backups_make": "backups.make_backup",
    "backups_backup_verify": "backups.view_backup backups.make_backup",
    "backups_backup_download": "backups.view_backup backups.download_backup",
    "billing_alertevent_deliveries": "billing.view_alertevent",
    "billing_alertchannel_deliveries": "billing.view_alertchannel",
    "billing_alertchannel_test": "billing.view_alertchannel billing.test_alertchannel",
    "billing_alertrule_mute": "billing.view_alertrule billing.change_alertrule",
    "billing_alertrule_unmute": "billing.view_alertrule billing.change_alertrule",
    "billing_spend": "billing.view_usage",
    "billing_ledger_health": "billing.view_ledgercheck",
    "billing_apikey_issued": "billing.view_apikey",
    "billing_apikey_rotate_page": "billing.change_apikey billing.add_apikey",
    "billing_apikey_revoke_page": "billing.change_apikey",
    "billing_apikey_take_over_page": "billing.change_apikey",
    "billing_customer_suspend": "billing.change_customer",
    "billing_customer_release": "billing.change_customer",
    "billing_customer_export": "billing.view_customer billing.export_customer",
    "billing_customer_erase": "billing.change_customer billing.erase_customer",
    "core_auditentry_export": "core.view_auditentry",
    "core_webhookdelivery_resend": "core.view_webhookdelivery core.resend_webhookdelivery",
    "core_webhookendpoint_enable": "core.view_webhookendpoint core.change_webhookendpoint",
    "core_webhookendpoint_rotate": "core.view_webhookendpoint core.change_webhookendpoint",
    "flags_flag_details": "flags.change_flag",
    "flags_flag_enable": "flags.view_flag flags.change_flag",
    "flags_flag_disable": "flags.view_flag flags.change_flag",
    "flags_flag_archive": "flags.view_flag flags.change_flag",
    "flags_flag_restore": "flags.view_flag flags.change_flag",
    "flags_flag_kill": "flags.view_flag flags.kill_flag",
    "flags_flag_revive": "flags.view_flag flags.kill_flag",
    "flags_flag_rule": "flags.change_flag",
    "flags_flag_rule_add": "flags.change_flag",
    "flags_flag_rule_remove": "flags.change_flag",
    "flags_flag_rule_preview": "flags.change_flag",
    "flags_flag_rule_order": "flags.change_flag",
    "flags_flag_cancel": "flags.change_flag",
    "flags_flag_revert": "flags.change_flag",
    "flags_flag_try": "flags.view_flag",
    "flags_flag_exposures": "flags.view_flag",
    "llm_breakers": "llm.view_breakerevent",
    "llm_chaos_drills": "llm.view_chaosrun",
    "llm_chaos_drill": SUPERUSER,
    "llm_chaos_stop_all": "llm.stop_chaosrun",
    "llm_chaosexperiment_start": SUPERUSER,
    "llm_chaosrun_report": "llm.view_chaosrun",
    "llm_chaosrun_stop": "llm.view_chaosrun llm.stop_chaosrun",
    "llm_job_cancel": "llm.view_job llm.operate_job",
    "llm_job_retry": "llm.view_job llm.operate_job",
    "llm_job_content": "llm.view_job llm.view_job_content",
    "llm_jobbatch_cancel": "llm.view_jobbatch llm.operate_job",
    "llm_jobfile_remove": "llm.view_jobfile llm.delete_jobfile",
    "llm_queue": "llm.view_job",
    "llm_queue_pause": "llm.pause_jobs",
    "llm_queue_resume": "llm.pause_jobs",
    "llm_recurringjob_run": "llm.change_recurringjob",
    "llm_playground": "llm.use_playground",
    "llm_prompt_models": "prompts.view_prompt",
    "llm_prompt_estimate": "prompts.view_prompt",
    "llm_prompt_usage": "prompts.view_prompt",
    "llm_prompt_try": "prompts.view_prompt llm.use_playground",
    "llm_provider_add": "llm.add_provider llm.set_provider_endpoint",
    "llm_provider_test": "llm.change_provider",
    "llm_provider_discover": "llm.change_provider",
    "llm_provider_add_models": "llm.change_provider llm.add_model llm.add_route",
    "prompts_experiment_start": "prompts.view_experiment prompts.publish_prompt",
    "prompts_experiment_stop": "prompts.view_experiment prompts.publish_prompt",
    "prompts_experiment_weights": "prompts.view_experiment prompts.publish_prompt",
    "prompts_experiment_promote": "prompts.view_experiment prompts.publish_prompt",
    "prompts_prompt_archive": "prompts.change_prompt prompts.publish_prompt",
    "prompts_prompt_move": "prompts.view_prompt prompts.publish_prompt",
    "prompts_prompt_remove_label": "prompts.view_prompt prompts.publish_prompt",
    "prompts_prompt_rollback": "prompts.view_prompt prompts.publish_prompt",
    "prompts_prompt_rollout": "prompts.view_prompt prompts.publish_prompt",
    "prompts_prompt_compare": "prompts.view_prompt",
    "prompts_prompt_details": "prompts.view_prompt",
    "prompts_prompt_preview": "prompts.view_prompt",
}
# Written to by a further right than they are looked at with.
WRITES = {
    "billing_ledger_health": "billing.run_ledgercheck",
    "prompts_prompt_details": "prompts.change_prompt",
}
# They act on a POST alone: a GET, as by an old link, leads on before any right is asked.
POST_ONLY = (
    "backups_make", "backups_backup_verify", "billing_alertchannel_test", "llm_prompt_estimate",
    "llm_chaos_stop_all", "llm_chaosrun_stop",
    "core_webhookdelivery_resend", "flags_flag_rule_preview", "flags_flag_rule_order",
    "flags_flag_try", "llm_provider_test",
    "llm_provider_add_models", "llm_recurringjob_run", "prompts_prompt_preview",
)  # fmt: skip
