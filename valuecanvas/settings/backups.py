"""Where backups are stored, for how long, and with which key."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.embedded import secrets
from valuecanvas.settings.base import PRODUCTION, STORAGES, VAR_DIR, WEB_SCHEMES

BACKUP_KEY = env.text(
    "BACKUP_KEY",
    "Key of the backups, AGE-SECRET-KEY-1...; without it they cannot be read.",
) or ("" if PRODUCTION else secrets.load_backup_key(VAR_DIR))
BACKUP_WITH_KEYS = env.flag(
    "BACKUP_WITH_KEYS",
    "Put SECRET_KEY, KEY_PEPPER and FIELD_KEY into the encrypted backup.",
    default=True,
)
BACKUP_DIR = env.text(
    "BACKUP_DIR", "Folder of the backups, unless BACKUP_S3_BUCKET is set."
) or str(VAR_DIR / "backups")
BACKUP_S3_BUCKET = env.text(
    "BACKUP_S3_BUCKET",
    "S3 bucket of the backups; the credentials come from AWS's own variables or role.",
)
BACKUP_S3_PREFIX = env.text(
    "BACKUP_S3_PREFIX", "Put before every name in the bucket.", "valuecanvas"
)
BACKUP_S3_ENDPOINT = env.url(
    "BACKUP_S3_ENDPOINT",
    "Endpoint of another object storage that speaks S3.",
    schemes=WEB_SCHEMES,
)
BACKUP_DATABASE_URL = env.url(
    "BACKUP_DATABASE_URL",
    "PostgreSQL for backups, where DATABASE_URL is a connection pooler.",
    schemes=("postgresql", "postgres"),
)
BACKUP_PG_BIN = env.text(
    "BACKUP_PG_BIN",
    "Folder of pg_dump and pg_restore. Unset: those that fit the server best.",
)
BACKUP_WORK_DIR = env.text(
    "BACKUP_WORK_DIR",
    "Folder for a backup while it is made or restored; needs twice its size.",
) or str(VAR_DIR / "backup-work")
BACKUP_RETENTION_DAYS = env.integer("BACKUP_RETENTION_DAYS", "Days that backups are kept; the last verified one always stays.", 90, low=1, high=36_500)  # fmt: skip
BACKUP_JOBS = env.integer("BACKUP_JOBS", "Connections that restore at once.", 2, low=1, high=64)  # fmt: skip
BACKUP_SCHEDULE = env.flag(
    "BACKUP_SCHEDULE",
    "Make a backup every day from the periodic task; off where something else does.",
    default=True,
)

_FOLDER: dict[str, Any] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {
        "location": BACKUP_DIR,
        "allow_overwrite": True,
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    },
}
_BUCKET: dict[str, Any] = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": BACKUP_S3_BUCKET,
        "location": BACKUP_S3_PREFIX,
        "endpoint_url": BACKUP_S3_ENDPOINT or None,
        "default_acl": None,
        # Larger ones go to a temporary file instead of memory when they are read.
        "max_memory_size": 16 << 20,
        "object_parameters": {"ChecksumAlgorithm": "SHA256"},
    },
}
STORAGES["backups"] = _BUCKET if BACKUP_S3_BUCKET else _FOLDER
if BACKUP_S3_BUCKET and len(BACKUP_S3_BUCKET) < 3:
    raise ImproperlyConfigured("BACKUP_S3_BUCKET must have at least 3 characters.")
