"""Channels of alerts in the admin: secrets go in and never come out."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminPasswordWidget

from billing.admin.alert_deliveries import DeliveriesPage, deliveries_of
from billing.alerts import channels
from billing.models import AlertChannel
from valuecanvas.core.access.recent_login import RecentLoginAdmin
from valuecanvas.core.admin.bases import Admin, display, fieldset
from valuecanvas.core.admin.forms import ConsoleFields
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.webhooks.models import EndpointKind, WebhookDelivery
from valuecanvas.core.webhooks.signature import new_secret

TEST = "billing.test_alertchannel"
MOST_SHOWN = 10
SECRETS = {
    "slack_url": EndpointKind.SLACK,
    "integration_key": EndpointKind.PAGERDUTY,
    "signing_secret": EndpointKind.STANDARD,
}
ADDRESSES = {
    "webhook_url": EndpointKind.STANDARD,
    "addresses": EndpointKind.EMAIL,
}
SEALED = "Stored encrypted and never shown again."
KEPT = f"{SEALED} Empty: no change."


def _secret(label: str) -> forms.CharField:
    hidden = UnfoldAdminPasswordWidget({"autocomplete": "new-password"})
    return forms.CharField(label=label, required=False, widget=hidden, help_text=SEALED)


class ChannelForm(ConsoleFields, forms.ModelForm):
    """A channel, with the address and the secret of its kind."""

    kind = forms.ChoiceField(choices=EndpointKind.choices)
    slack_url = _secret("URL of the incoming webhook")
    integration_key = _secret("Integration key of Events API v2")
    webhook_url = forms.CharField(label="URL", required=False)
    signing_secret = forms.CharField(required=False)
    addresses = forms.CharField(
        required=False, help_text="E-mail addresses, separated by commas."
    )

    class Meta:
        model = AlertChannel
        fields = ("name", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        signing = self.fields["signing_secret"]
        if not self.instance.pk:
            signing.initial = new_secret()
            signing.help_text = "Copy it to the receiver: it is not shown again."
            return
        endpoint = self.instance.endpoint
        for name in SECRETS:
            self.fields[name].help_text = KEPT
        self.fields["kind"].initial = endpoint.kind
        self.fields["kind"].disabled = True
        for name, kind in ADDRESSES.items():
            if kind == endpoint.kind:
                self.fields[name].initial = endpoint.url

    def value_of(self, fields: dict[str, EndpointKind]) -> tuple[str, str]:
        """The field of this kind, and its value."""
        kind = self.cleaned_data.get("kind")
        for name, of in fields.items():
            if of == kind:
                return name, self.cleaned_data.get(name, "")
        return "", ""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        kind = data.get("kind", "")
        checks = ((ADDRESSES, channels.check_address), (SECRETS, channels.check_secret))
        for fields, check in checks:
            name, value = self.value_of(fields)
            is_needed = fields is ADDRESSES or not self.instance.pk
            if name and (value or is_needed):
                try:
                    check(kind, value)
                except forms.ValidationError as error:
                    self.add_error(name, error)
        return data


class ChannelTestPage(Page):
    """Sends a test message; its result appears on the channel's page."""

    name = "test"
    needs = "view"
    right = TEST
    post_only = True

    def answer(self) -> HttpResponse:
        channels.send_test(self.original)
        self.admin.record(self.request, [self.original], "Sent a test message.")
        return redirect(f"{self.back_url()}#deliveries")


@admin.register(AlertChannel)
class AlertChannelAdmin(RecentLoginAdmin, Admin):
    form = ChannelForm
    list_display = ("name", "kind_name", "goes_to", "state", "last_failure", "enabled")
    list_select_related = ("endpoint",)
    search_fields = ("name",)
    search_help_text = "A name."
    pages = (DeliveriesPage, ChannelTestPage)
    delete_many = False
    save_and_continue = False
    conditional_fields = {
        name: f"kind == '{kind.value}'"
        for name, kind in {**SECRETS, **ADDRESSES}.items()
    }
    fieldsets = (
        fieldset(None, "name", "kind", "enabled"),
        fieldset("Where to", *ADDRESSES, *SECRETS),
    )
    change_form_outer_after_template = "admin/billing/alertchannel/after.html"
    empty_text = (
        "A channel sends alerts to Slack, PagerDuty, a webhook or by e-mail. Add one, "
        "test it, then choose it in the alert rules."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj) or obj is None:
            return self.fieldsets
        shown = ("name", "kind_name", "goes_to", "state", "last_failure", "enabled")
        return (fieldset(None, *shown),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("kind_name", "goes_to", "state", "last_failure")

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        channels.save_channel(
            obj,
            form.cleaned_data["kind"],
            address=form.value_of(ADDRESSES)[1],
            secret=form.value_of(SECRETS)[1],
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        channels.delete_channel(obj)

    def details(self, request: HttpRequest, row: AlertChannel) -> dict[str, Any]:
        may_test = request.user.has_perm(TEST)
        return {**deliveries_of(self, row), "may_test": may_test}

    def deliveries(self, channel: AlertChannel) -> Any:
        """What was sent there last."""
        rows = WebhookDelivery.objects.filter(endpoint=channel.endpoint_id)
        return rows.order_by("-id")[:MOST_SHOWN]

    @display(description="Kind")
    def kind_name(self, channel: AlertChannel) -> str:
        return str(channel.endpoint.get_kind_display())

    @display(description="Goes to")
    def goes_to(self, channel: AlertChannel) -> str:
        return channel.endpoint.url

    @display(
        description="State",
        label={"enabled": "success", "failing": "warning", "disabled": "danger"},
    )
    def state(self, channel: AlertChannel) -> str:
        return channel.endpoint.state

    @display(description="Last failure")
    def last_failure(self, channel: AlertChannel) -> str:
        return channel.endpoint.last_error or "–"
