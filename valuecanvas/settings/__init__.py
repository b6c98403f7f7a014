"""Django settings, one file a topic. The values come from the environment."""

from .base import *
from .database import *
from .security import *
from .api import *
from .admin import *
from .celery import *
from .gateway import *
from .observability import *
