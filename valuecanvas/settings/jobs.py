"""Jobs, batches and their files."""

from valuecanvas import env
from valuecanvas.settings.gateway import LLM_MAX_BODY_BYTES

JOBS_CONCURRENCY = env.integer("JOBS_CONCURRENCY", "Jobs that one worker runs at once.", 10, low=1, high=1000)  # fmt: skip
JOBS_NICE = env.integer("JOBS_NICE", "Niceness of worker processes: 0 as web processes, 19 only the time that others leave.", 15, low=0, high=19)  # fmt: skip
JOBS_ATTEMPTS = env.integer("JOBS_ATTEMPTS", "Attempts before a job is a dead letter.", 3, low=1, high=20)  # fmt: skip
JOBS_LEASE_S = env.integer(
    "JOBS_LEASE_S",
    "A worker unheard of this long has lost its jobs, in seconds.",
    30,
    low=5,
    high=3600,
)
JOBS_OPEN_MAX = env.integer("JOBS_OPEN_MAX", "Most jobs of one customer that have not ended; more are refused.", 200_000, low=1)  # fmt: skip
JOBS_CALLS_PER_MINUTE = env.integer("JOBS_CALLS_PER_MINUTE", "Calls a minute of one key or user about jobs, batches and files; 0: any number.", 3000)  # fmt: skip
JOBS_KEEP_DAYS = env.integer("JOBS_KEEP_DAYS", "Days that ended jobs and their results are kept.", 30, low=1, high=3650)  # fmt: skip
JOBS_BATCH_LINES = env.integer("JOBS_BATCH_LINES", "Most lines of a batch.", 50_000, low=1, high=1_000_000)  # fmt: skip
JOBS_BATCH_SHARE = env.number(
    "JOBS_BATCH_SHARE",
    "Most of its owner's minute limits that a batch takes, as a share of 1.",
    0.8,
    low=0.01,
    high=1,
)
JOBS_BATCH_RATE = env.number(
    "JOBS_BATCH_RATE",
    "Lines of batches that one worker begins in a second while others are served.",
    10,
    low=0.1,
    high=10_000,
)
FILES_MAX_BYTES = env.integer(
    "FILES_MAX_BYTES",
    "Largest uploaded file, in bytes.",
    104_857_600,
    low=LLM_MAX_BODY_BYTES,
    high=1_073_741_824,
)
FILES_TOTAL_BYTES = env.integer(
    "FILES_TOTAL_BYTES",
    "Most bytes of all files of one customer.",
    1_073_741_824,
    low=1_048_576,
    high=1_099_511_627_776,
)
FILES_KEEP_DAYS = env.integer("FILES_KEEP_DAYS", "Days that uploaded files are kept.", 30, low=1, high=3650)  # fmt: skip
