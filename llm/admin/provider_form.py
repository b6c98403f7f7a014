"""The form of a provider, with a write-only key."""

from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from llm.models import Provider
from llm.providers.address_guard import origin
from llm.providers.key_reference import UnreadableReference, read_key
from valuecanvas.core.admin.forms import NamesField


class ProviderForm(forms.ModelForm):
    """Adds the write-only key, which is bound to the origin of its URL."""

    new_key = forms.CharField(
        label="Secret key",
        required=False,
        strip=True,
        max_length=500,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown again. Empty: no change.",
    )
    extra_fields = NamesField(
        label="Further fields",
        required=False,
        help_text=Provider._meta.get_field("extra_fields").help_text,
    )
    forget_key = forms.BooleanField(
        label="Delete the stored key",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )

    class Meta:
        model = Provider
        fields = (
            "key",
            "name",
            "kind",
            "base_url",
            "api_key_env",
            "api_key_ref",
            "extra_fields",
            "enabled",
        )
        labels = {"key": "Short name", "base_url": "Base URL"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.saved_url = self.instance.base_url
        if "api_key_env" in self.fields:
            names = [(name, name) for name in settings.PROVIDER_KEYS]
            self.fields["api_key_env"] = forms.ChoiceField(
                label="Key from environment",
                required=False,
                choices=[("", "None"), *names],
                widget=UnfoldAdminSelectWidget,
                help_text="Used where no key is stored here. PROVIDER_KEY_NAMES adds "
                "variables to this list.",
            )

    def _is_other_origin(self, url: str) -> bool:
        return bool(self.saved_url) and origin(self.saved_url) != origin(url)

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or {}
        if data.get("new_key") and data.get("forget_key"):
            self.add_error("forget_key", "Enter a new key or delete the old, not both.")
        moved = "base_url" in data and self._is_other_origin(data["base_url"])
        for name in ("api_key_env", "api_key_ref"):
            if moved and data.get(name) and name not in self.changed_data:
                # Otherwise an edit of the URL would send that key to another host.
                self.add_error(
                    name,
                    "The scheme, host or port has changed: empty this, save, then enter "
                    "it again if its key may be sent there.",
                )
        if data.get("api_key_ref") and (data.get("new_key") or data.get("forget_key")):
            self.add_error("api_key_ref", "Its key is stored: enter no other key.")
        elif data.get("api_key_ref") and "api_key_ref" in self.changed_data:
            data["new_key"] = self._read_reference(data["api_key_ref"])
        elif "api_key_ref" in self.changed_data and not data.get("new_key"):
            data["forget_key"] = True
        return data

    def _read_reference(self, reference: str) -> str:
        try:
            return read_key(reference)
        except UnreadableReference as error:
            self.add_error("api_key_ref", str(error))
            return ""

    def apply_key(self) -> str:
        """Set or clear the key of the instance; the warning to show, or ''."""
        provider: Provider = self.instance
        new_key = self.cleaned_data.get("new_key", "")
        if new_key:
            provider.set_key(new_key)
            return ""
        if not provider.has_key:
            return ""
        if self.cleaned_data.get("forget_key"):
            provider.set_key("")
            return "The stored key is deleted."
        if provider.drop_foreign_key(self.saved_url):
            return (
                "The scheme, host or port has changed, so the stored key is deleted: "
                "enter the key again."
            )
        return ""
