"""Changes of users, groups, schedules, switches and endpoints are recorded."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditLinks, AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0011_audit"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("waffle", "0004_update_everyone_nullbooleanfield"),
    ]
    operations = [
        AuditTable(
            "auth_user",
            "auth.user",
            label=["username"],
            left_out=["last_login"],
            secret=["password"],
        ),
        AuditTable(
            "auth_group",
            "auth.group",
            label=["name"],
        ),
        AuditLinks(
            "auth_user_groups",
            "auth.user",
            field="groups",
            owner="user_id:auth_user:id:username",
            value="group_id:auth_group:id:name",
        ),
        AuditLinks(
            "auth_user_user_permissions",
            "auth.user",
            field="user_permissions",
            owner="user_id:auth_user:id:username",
            value="permission_id:auth_permission:id:codename",
        ),
        AuditLinks(
            "auth_group_permissions",
            "auth.group",
            field="permissions",
            owner="group_id:auth_group:id:name",
            value="permission_id:auth_permission:id:codename",
        ),
        AuditTable(
            "django_celery_beat_periodictask",
            "django_celery_beat.periodictask",
            label=["name"],
            left_out=["last_run_at", "total_run_count", "date_changed"],
        ),
        AuditTable(
            "django_celery_beat_intervalschedule",
            "django_celery_beat.intervalschedule",
            label=["every", "period"],
        ),
        AuditTable(
            "django_celery_beat_crontabschedule",
            "django_celery_beat.crontabschedule",
            label=[
                "minute",
                "hour",
                "day_of_month",
                "month_of_year",
                "day_of_week",
                "timezone",
            ],
        ),
        AuditTable(
            "django_celery_beat_solarschedule",
            "django_celery_beat.solarschedule",
            label=["event"],
        ),
        AuditTable(
            "django_celery_beat_clockedschedule",
            "django_celery_beat.clockedschedule",
            label=["clocked_time"],
        ),
        AuditTable(
            "waffle_switch",
            "waffle.switch",
            label=["name"],
            left_out=["modified"],
        ),
        AuditTable(
            "waffle_sample",
            "waffle.sample",
            label=["name"],
            left_out=["modified"],
        ),
        AuditTable(
            "core_log_level",
            "core.loglevel",
            label=["level"],
        ),
        AuditTable(
            "core_webhook_endpoint",
            "core.webhookendpoint",
            label=["kind", "url"],
            left_out=[
                "delivered",
                "failed",
                "failing_since",
                "last_failed_at",
                "last_error",
            ],
            secret=["secret_sealed", "previous_sealed"],
            traffic_adds=True,
        ),
    ]
