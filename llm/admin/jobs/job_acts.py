"""What operators do with jobs: one at a time on its page, or many from the list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from llm.jobs import actions
from llm.models import Job, JobState
from llm.models.job import OPEN
from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.core.admin.pages import ConfirmPage
from valuecanvas.core.errors import Conflict
from valuecanvas.core.templatetags import figures

OPERATE = "llm.operate_job"


@dataclass(frozen=True, slots=True)
class JobAct:
    """An act: its texts, the states in which jobs may be, and what does it."""

    name: str
    label: str
    text: str
    done: str
    states: tuple[JobState, ...]
    act: Callable[..., int]
    danger: bool = False

    def run(self, rows: QuerySet[Job]) -> int:
        """Do it to those of `rows` that are in one of its states; how many.

        Customers read by whom; the audit log has the name.
        """
        return self.act(rows.filter(state__in=self.states), by="an operator")


RETRY = JobAct(
    "retry",
    "Retry",
    "They are queued again, with all their attempts. What was answered is not billed again. "
    "Lines of batches are not retried: submit a batch of them.",
    "Queued again",
    (JobState.FAILED, JobState.CANCELLED, JobState.DEAD),
    actions.retry,
)
CANCEL = JobAct(
    "cancel",
    "Cancel",
    "Queued ones do not start. Running ones end within seconds; what the provider has "
    "answered by then is billed.",
    "Cancelled",
    OPEN,
    actions.cancel,
    danger=True,
)
REPLAY = JobAct(
    "replay",
    "Replay dead letters",
    "The dead letters among them are queued again, with all their attempts.",
    "Queued again",
    (JobState.DEAD,),
    actions.retry,
)


def run_on_many(
    admin: Any, request: HttpRequest, queryset: QuerySet[Any], act: JobAct
) -> HttpResponse | None:
    """Ask for confirmation, then act on the chosen jobs, or on all that the list finds."""
    # The list's own rows are ordered, and without their large columns.
    rows = Job.objects.filter(pk__in=queryset.order_by().values("pk"))
    everything = request.POST.get("select_across") == "1"
    if "confirmed" not in request.POST:
        count = rows.filter(state__in=act.states).count()
        return admin.ask_for(  # type: ignore[no-any-return]
            request,
            f"{act.name}_selected",
            None if everything else rows.only("pk"),
            title=f"{act.label}: {_jobs(count)}",
            text=act.text,
            verb=act.label,
            danger=act.danger,
        )
    count = act.run(rows)
    text = f"{act.done}: {_jobs(count)}."
    if everything:
        _log_many(request, text)
    else:
        admin.record(request, rows.only("pk"), text)
    messages.success(request, text)
    return None


def _jobs(count: int) -> str:
    return f"{figures.commas(count)} job{'' if count == 1 else 's'}"


def _log_many(request: HttpRequest, text: str) -> None:
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(Job),
        object_repr=f"all that the list found: {request.GET.urlencode() or 'no filter'}"[
            :200
        ],
        action_flag=CHANGE,
        change_message=text,
    )


class JobActPage(ConfirmPage):
    """Does it to one job."""

    needs = "view"
    right = OPERATE
    form_class = ConsoleForm
    what: ClassVar[JobAct]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = self.verb = f"{self.what.label} the job"
        self.text, self.danger = self.what.text, self.what.danger

    def act(self, form: Any) -> str:
        row = Job.objects.filter(pk=self.original.pk)
        if not self.what.run(row):
            state = row.get().get_state_display().lower()
            raise Conflict(f"Not possible: the job is {state}, or its time is over.")
        return f"{self.what.done}."


class RetryPage(JobActPage):
    name = "retry"
    what = RETRY


class JobCancelPage(JobActPage):
    name = "cancel"
    what = CANCEL


def fitting_pages(request: HttpRequest, job: Job) -> list[type[JobActPage]]:
    """The acts that this user may do to the job now. A line is not retried alone."""
    if not request.user.has_perm(OPERATE):
        return []
    pages = (RetryPage, JobCancelPage) if job.batch_id is None else (JobCancelPage,)
    return [one for one in pages if job.state in one.what.states]
