"""Providers, models, routes and what happened to requests."""

from llm.models.attempt import Attempt
from llm.models.breaker import BreakerEvent, BreakerOverride
from llm.models.cache_epoch import CacheEpoch
from llm.models.chaos import (
    ChaosExperiment,
    ChaosRun,
    ChaosWindow,
    FaultKind,
    RunState,
)
from llm.models.feedback import Feedback
from llm.models.job import Job, JobResult, JobState
from llm.models.job_batch import BatchState, JobBatch, JobFile, JobFilePart, OnLimit
from llm.models.job_queue import JobPause, JobWorker, RecurringJob
from llm.models.provider import Provider
from llm.models.route import Model, Route
from llm.models.seeded import Seeded
