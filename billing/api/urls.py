"""URLs of the REST endpoints of customers, under /api/."""

from django.urls import path

from billing.api.customers import CustomerDetail

# A path: user ids may contain a slash.
urlpatterns = [path("customers/<path:user_id>", CustomerDetail.as_view())]
