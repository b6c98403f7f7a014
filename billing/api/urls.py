"""URLs of the REST endpoints of customers and usage, under /api/."""

from django.urls import path

from billing.api.customers import CustomerDetail
from billing.api.own_usage import OwnUsageDetail
from billing.api.usage_report import UsageExport, UsageReportDetail

# A path: user ids may contain a slash.
urlpatterns = [
    path("customers/<path:user_id>", CustomerDetail.as_view()),
    path("usage/me", OwnUsageDetail.as_view()),
    path("usage/report", UsageReportDetail.as_view()),
    path("usage/export", UsageExport.as_view()),
]
