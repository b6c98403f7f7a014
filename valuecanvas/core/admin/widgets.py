"""Form widgets of our own, in unfold's style."""

from typing import Any

from unfold.widgets import UnfoldAdminTextInputWidget


class SuggestedText(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """A text field that offers names while one types."""

    template_name = "admin/suggested_text.html"

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        list_id = f"{name}-names"
        context: dict[str, Any] = super().get_context(
            name, value, {**(attrs or {}), "list": list_id}
        )
        return {**context, "list_id": list_id, "names": self.names}
