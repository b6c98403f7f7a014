"""Django settings, one file a topic. The values come from the environment."""

# ruff: noqa: I001 - later ones use earlier ones

from valuecanvas.settings.base import *
from valuecanvas.settings.database import *
from valuecanvas.settings.security import *
from valuecanvas.settings.backups import *
from valuecanvas.settings.api import *
from valuecanvas.settings.admin import *
from valuecanvas.settings.door import *
from valuecanvas.settings.celery import *
from valuecanvas.settings.gateway import *
from valuecanvas.settings.jobs import *
from valuecanvas.settings.webhooks import *
from valuecanvas.settings.alerts import *
from valuecanvas.settings.chaos import *
from valuecanvas.settings.observability import *
from valuecanvas.settings.production import *
