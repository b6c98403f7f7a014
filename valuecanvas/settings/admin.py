"""The look of the admin; its content is in valuecanvas/admin.py and the apps."""

UNFOLD: dict[str, object] = {
    "SITE_TITLE": "ValueCanvas",
    "SITE_HEADER": "ValueCanvas",
    "SITE_SUBHEADER": "LLM control room",
    "SITE_SYMBOL": "hub",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
}
