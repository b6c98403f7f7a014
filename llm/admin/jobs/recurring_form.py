"""The form of a recurring job: a prompt with its variables, or a body; and when."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django_celery_beat.models import CrontabSchedule

from llm.jobs import callbacks
from llm.jobs.recurring import check_input
from llm.jobs.types import JOB_TYPES
from llm.models import RecurringJob
from llm.models.job import MOST_TAGS
from llm.models.job_batch import LONGEST_TAG
from prompts.models import Prompt
from prompts.services.words import check_storable
from valuecanvas.core.admin.filters import MOST_NAMES
from valuecanvas.core.admin.forms import ConsoleFields, NamesField
from valuecanvas.core.admin.widgets import SuggestedText
from valuecanvas.core.db.periodic_work import CRON_FIELDS, parse_crontab

# The form's field -> the input of a job.
INPUT = {
    "prompt_key": "promptKey",
    "prompt_version": "promptVersion",
    "prompt_label": "promptLabel",
    "model": "model",
    "variables": "promptVariables",
    "body": "body",
}
FIELDS = {name: field for field, name in INPUT.items()}


def expression_of(crontab: CrontabSchedule) -> str:
    """Its five fields in one text."""
    return " ".join(getattr(crontab, name) for name in CRON_FIELDS)


class JsonText(forms.JSONField):
    """JSON in a text area. Raises ValidationError for what the database cannot hold."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except RecursionError:
            raise ValidationError("It is nested too deeply.") from None
        try:
            check_storable("value", found)
        except ValidationError as error:
            raise ValidationError(error.messages) from None
        return found

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return InvalidJSONInput(data)


def _json(help_text: str) -> JsonText:
    area = forms.Textarea({"rows": 6, "spellcheck": "false"})
    return JsonText(required=False, widget=area, help_text=help_text)


class RecurringForm(ConsoleFields, forms.ModelForm):
    """Checks the input as the submission of a single job does."""

    type = forms.ChoiceField()
    prompt_key = forms.CharField(
        required=False,
        max_length=200,
        help_text="A stored prompt's. Empty: the type's own, or the body alone.",
    )
    prompt_version = forms.IntegerField(
        required=False, min_value=1, help_text="Empty: the live one."
    )
    prompt_label = forms.CharField(required=False, max_length=60)
    model = forms.CharField(
        required=False,
        max_length=200,
        help_text="Empty: that of the prompt's version, or of the body.",
    )
    variables = _json('The prompt\'s variables, such as {"business": "a bakery"}.')
    body = _json(
        "The body of a request to OpenAI's API, or what is added to the prompt's."
    )
    schedule = forms.CharField(
        max_length=200,
        help_text="Minute, hour, day of the month, month, day of the week: 0 9 * * 1 is each "
        "Monday at 9:00, */15 * * * * each quarter of an hour.",
    )
    timezone = CrontabSchedule._meta.get_field("timezone").formfield(
        label="Time zone", help_text="Of the schedule."
    )
    tags = NamesField(required=False, help_text="With commas.")

    class Meta:
        model = RecurringJob
        fields = ("name", "customer", "type", "tags", "callback_url", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        choices = {name: f"{name}: {one.help}" for name, one in JOB_TYPES.items()}
        if row.pk:
            choices.setdefault(row.type, row.type)
            values = {field: row.input.get(name) for field, name in INPUT.items()}
            when = {
                "schedule": expression_of(row.crontab),
                "timezone": row.crontab.timezone,
            }
            for name, value in (values | when).items():
                self.initial.setdefault(name, value)
        self.fields["type"].choices = list(choices.items())
        self.fields["type"].widget.choices = list(choices.items())
        self._suggest()

    def _suggest(self) -> None:
        keys = Prompt.objects.filter(archived=False).order_by("key")
        names = list(keys.values_list("key", flat=True)[:MOST_NAMES])
        self.fields["prompt_key"].widget = SuggestedText(names)
        crontabs = CrontabSchedule.objects.all()[:MOST_NAMES]
        known = sorted({expression_of(one) for one in crontabs})
        self.fields["schedule"].widget = SuggestedText(known)

    def clean_tags(self) -> list[str]:
        tags: list[str] = self.cleaned_data["tags"]
        if len(tags) > MOST_TAGS or any(len(one) > LONGEST_TAG for one in tags):
            raise ValidationError(
                f"Up to {MOST_TAGS} tags of at most {LONGEST_TAG} characters."
            )
        return tags

    def clean_callback_url(self) -> str:
        url: str = self.cleaned_data["callback_url"]
        if url:
            callbacks.check_callback_url(url)
        return url

    def clean_prompt_key(self) -> str:
        key: str = self.cleaned_data["prompt_key"]
        if key and not Prompt.objects.filter(key=key, archived=False).exists():
            raise ValidationError(f"There is no prompt '{key}'.")
        return key

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors:
            given = {
                INPUT[one]: data[one] for one in INPUT if data[one] not in (None, "")
            }
            self._check_input(data["type"], given)
            self.instance.input = given
        if "schedule" in data and "timezone" in data:
            try:
                parse_crontab(data["schedule"], str(data["timezone"]))
            except ValidationError as error:
                self.add_error("schedule", error.messages)
        return data

    def _check_input(self, job_type: str, given: dict[str, Any]) -> None:
        """Show what is wrong beside the field that it is about."""
        try:
            check_input(job_type, given)
        except ValidationError as error:
            for name, faults in error.error_dict.items():
                for fault in faults:
                    usual = name if name in self.fields else "body"
                    self.add_error(FIELDS.get(fault.code or "", usual), fault)
