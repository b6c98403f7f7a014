"""URLs of the cold path, and of the hot path for the schema."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
