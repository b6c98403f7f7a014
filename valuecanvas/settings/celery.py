"""Celery: the broker only notifies workers, the database has the work to do."""

from valuecanvas import env
from valuecanvas.settings.database import REDIS_PREFIX, REDIS_URL

CELERY_BROKER_URL = (
    env.url(
        "CELERY_BROKER_URL",
        "Broker of the workers. Unset: REDIS_URL.",
        schemes=("redis", "rediss", "amqp", "amqps", "unix"),
    )
    or REDIS_URL
)
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Tasks wait for the database most of the time.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 4
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Else each log line would be logged again as a warning.
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "valuecanvas.site.beat_scheduler:BeatScheduler"
if CELERY_BROKER_URL.startswith(("redis", "rediss", "unix")):
    # kombu restores lost messages only every interval x throttle seconds.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # A page that sends a task must not wait for a silent broker.
        "socket_connect_timeout": 5,
        # Else it would try again for 6 s, and a page with it.
        "max_retries": 1,
        "interval_start": 0,
        "visibility_timeout": 900,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "global_keyprefix": f"{REDIS_PREFIX}:celery:",
    }
