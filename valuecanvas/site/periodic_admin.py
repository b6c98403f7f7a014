"""django-celery-beat's schedules in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from llm.models.chaos import DRILL_TASK
from llm.models.job_queue import RECURRING_TASK
from valuecanvas.core.admin.bases import Admin, Inline, display
from valuecanvas.site.schedules import is_built_in

for _model in (
    PeriodicTask,
    IntervalSchedule,
    CrontabSchedule,
    SolarSchedule,
    ClockedSchedule,
):
    admin.site.unregister(_model)


# Of built-in ones: all but the times, and whether they are on.
FIXED = (
    "name", "task", "description", "one_off", "args", "kwargs", "expires",
    "expire_seconds", "queue", "exchange", "routing_key", "priority", "headers",
)  # fmt: skip


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):  # type: ignore[misc]
    """A select of the registered tasks, in unfold's style."""


class TaskForm(beat.PeriodicTaskForm):  # type: ignore[misc]
    # Who edits it.
    user: Any = AnonymousUser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelect()

    def clean(self) -> Any:
        if "task" not in self.fields:
            self.cleaned_data["task"] = self.instance.task
        found = super().clean()
        if found.get("task") == DRILL_TASK and not self.user.is_superuser:
            raise ValidationError({"task": "Only a superuser may schedule drills."})
        return found


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, Admin):  # type: ignore[misc]
    form = TaskForm
    # Beat's template has an inline script, which the CSP refuses.
    change_form_template = None
    list_display = (
        "name",
        "task",
        "when",
        "enabled",
        "last_run_at",
        "total_run_count",
    )
    list_filter = ("enabled", "one_off")
    date_hierarchy = None
    actions = ("enable_tasks", "disable_tasks", "run_tasks")
    instead = "A built-in task cannot be deleted: disable it instead."
    empty_text = "Periodic tasks are added at the first start. If there are none, start the server once."

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Without those of recurring jobs, which are edited there, and without drills,
        which only superusers start."""
        rows: QuerySet = super().get_queryset(request)
        hidden = [RECURRING_TASK]
        if not getattr(request.user, "is_superuser", False):
            hidden.append(DRILL_TASK)
        return rows.exclude(task__in=hidden)

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, *args, **kwargs)
        return type(form.__name__, (form,), {"user": request.user})

    def has_delete_permission(
        self, request: HttpRequest, obj: PeriodicTask | None = None
    ) -> bool:
        # The next upgrade would make it anew.
        return not is_built_in(obj) and bool(
            super().has_delete_permission(request, obj)
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: PeriodicTask | None = None
    ) -> tuple[str, ...]:
        fixed = FIXED if is_built_in(obj) else ()
        return (*super().get_readonly_fields(request, obj), *fixed)

    def get_fieldsets(
        self, request: HttpRequest, obj: PeriodicTask | None = None
    ) -> Any:
        """Without the choice of another task if the task is fixed."""
        found = super().get_fieldsets(request, obj)
        if not is_built_in(obj):
            return found
        return [
            (title, {**options, "fields": [one for one in options["fields"] if one != "regtask"]})
            for title, options in found
        ]  # fmt: skip

    @display(description="When")
    def when(self, task: PeriodicTask) -> str:
        return task.crontab.human_readable if task.crontab else str(task.scheduler)

    @display(description="In words")
    def crontab_translation(self, task: PeriodicTask) -> str:
        return task.crontab.human_readable if task.crontab else "–"

    @admin.action(description="Enable", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.record(request, queryset, "Enabled.")
        super().enable_tasks(request, queryset)

    @admin.action(description="Disable", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.record(request, queryset, "Disabled.")
        super().disable_tasks(request, queryset)

    @admin.action(description="Run now", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet) -> None:
        self.record(request, queryset, "Run by hand.")
        super().run_tasks(request, queryset)


class TaskInline(Inline):
    """The tasks that use a schedule. Recurring jobs have no page here to link to."""

    model = PeriodicTask
    fields = ("name", "task", "enabled")
    readonly_fields = fields
    can_delete = False
    show_change_link = True
    verbose_name_plural = "Periodic tasks that use this schedule"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows: QuerySet = super().get_queryset(request)
        return rows.exclude(task=RECURRING_TASK)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ScheduleAdmin(Admin):
    inlines = (TaskInline,)


@admin.register(IntervalSchedule, SolarSchedule)
class PlainScheduleAdmin(ScheduleAdmin):
    pass


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(beat.CrontabScheduleAdmin, ScheduleAdmin):  # type: ignore[misc]
    inlines = (TaskInline,)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(beat.ClockedScheduleAdmin, ScheduleAdmin):  # type: ignore[misc]
    inlines = (TaskInline,)
