"""Checks of what the installation stands on: PostgreSQL, Redis, disks, this version."""

import platform
import shutil
import time
from pathlib import Path

import django
from django.conf import settings
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django_redis import get_redis_connection
from prometheus_client import REGISTRY

from valuecanvas.core.models import Epoch
from valuecanvas.status.types import HealthFinding, HealthState, judge_figure
from valuecanvas.upgrade import pending

SLOW_DATABASE_S = 0.1
MOST_LAG_S = 30
# Of connections and of Redis's memory.
NEARLY_ALL = 0.9
# Of a disk, and never less than so many bytes.
LITTLE_SPACE, NO_SPACE = 0.1, 0.02
LEAST_BYTES = 256 << 20
STALE_CONFIG_S = 300
_DATABASE = """
SELECT current_setting('server_version'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int,
       pg_database_size(current_database()),
       (SELECT max(extract(epoch FROM replay_lag))::float8 FROM pg_stat_replication),
       current_setting('is_superuser') = 'on'
"""


def check_database() -> HealthFinding:
    """Its answer time, connections of all its clients, size, and lag of replicas."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        started = time.monotonic()
        cursor.execute("SELECT 1")
        took_s = time.monotonic() - started
        cursor.execute(_DATABASE)
        version, used, limit, size, lag_s, superuser = cursor.fetchone()
    figure = f"PostgreSQL {version}, answers in {took_s * 1000:.1f} ms; {used} of {limit} connections; {_size(size)}"
    if lag_s is not None:
        figure += f"; a replica is {lag_s:.1f} s behind"
    return judge_figure(
        figure,
        (used >= NEARLY_ALL * limit, "Nearly all connections are in use: raise max_connections, or run fewer processes."),
        (took_s > SLOW_DATABASE_S, "It answers slowly: look at its load and its disk."),
        ((lag_s or 0) > MOST_LAG_S, "A replica is far behind: look at its load and network."),
        (superuser and settings.PRODUCTION, "DATABASE_URL names a superuser: use a role that owns this database alone."),
    )  # fmt: skip


def check_redis() -> HealthFinding:
    """Its answer time and memory."""
    client = get_redis_connection("default")
    client.ping()
    started = time.monotonic()
    client.ping()
    took_ms = (time.monotonic() - started) * 1000
    info = client.info()
    used, limit = info["used_memory"], info.get("maxmemory", 0)
    of = f" of {_size(limit)}" if limit else ""
    figure = f"Redis {info['redis_version']}, answers in {took_ms:.1f} ms; {_size(used)}{of} in use"
    return judge_figure(
        figure,
        (took_ms > settings.REDIS_TIMEOUT_MS, "Slower than REDIS_TIMEOUT_MS: requests pass it by, without cache and shared limits."),
        (bool(limit) and used >= NEARLY_ALL * limit, "Its memory is nearly full: raise maxmemory."),
    )  # fmt: skip


def check_disks() -> HealthFinding:
    """The free space of the folders that are written to; each disk once."""
    folders: dict[str, str | Path] = {
        "VALUECANVAS_VAR": settings.VAR_DIR,
        "JOURNAL_DIR": settings.JOURNAL_DIR,
        "BACKUP_WORK_DIR": settings.BACKUP_WORK_DIR,
    }
    state, texts, seen = HealthState.OK, [], set()
    for name, folder in folders.items():
        place = _existing(Path(folder))
        if (device := place.stat().st_dev) in seen:
            continue
        seen.add(device)
        total, _, free = shutil.disk_usage(place)
        texts.append(f"{name}: {_size(free)} of {_size(total)} free")
        if free < max(NO_SPACE * total, LEAST_BYTES):
            state = HealthState.FAILING
        elif free < LITTLE_SPACE * total and state is HealthState.OK:
            state = HealthState.WARNING
    remedy = (
        ""
        if state is HealthState.OK
        else "Free some space: without it nothing is admitted."
    )
    return HealthFinding(state, "; ".join(texts), remedy)


def check_configuration() -> HealthFinding | None:
    """How old the configuration of this process is; None: it serves no requests."""
    loaded = REGISTRY.get_sample_value("valuecanvas_config_loaded_timestamp_seconds")
    if not loaded:
        return None
    age_s = max(0.0, time.time() - loaded)
    own = int(REGISTRY.get_sample_value("valuecanvas_config_epoch") or 0)
    newest = Epoch.objects.values_list("value", flat=True).first() or 0
    figure = f"epoch {own} of {newest}, known to be current {age_s:.0f} s ago"
    return judge_figure(
        figure,
        (own != newest and age_s > STALE_CONFIG_S, "It is loaded with the next request; if not, restart this process."),
    )  # fmt: skip


def check_migrations() -> HealthFinding:
    """Whether the database is of this version."""
    names = pending.find_names()
    if not names:
        return HealthFinding(HealthState.OK, "all applied")
    return HealthFinding(
        HealthState.FAILING,
        f"{len(names)} not applied: {', '.join(names[:3])}",
        "Run `manage.py upgrade`.",
    )


def check_versions() -> HealthFinding:
    product = settings.SPECTACULAR_SETTINGS["VERSION"]
    text = f"ValueCanvas {product}, Python {platform.python_version()}, Django {django.__version__}"
    return HealthFinding(HealthState.OK, text)


def _existing(folder: Path) -> Path:
    """It, or the nearest folder above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _size(count: int) -> str:
    return filesizeformat(count).replace("\xa0", " ")
