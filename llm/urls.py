"""The gateway's URLs; all are on the hot path."""

from django.urls import path

from llm.jobs.views.batches import BatchAnswers, BatchCancel, BatchDetail, Batches
from llm.jobs.views.callbacks import CallbackDetail, CallbackRotate, Callbacks
from llm.jobs.views.files import FileContent, FileDetail, Files
from llm.jobs.views.jobs import (
    JobAnswer,
    JobCancel,
    JobDetail,
    JobProgress,
    JobRetry,
    Jobs,
)
from llm.jobs.views.openai_batches import (
    OpenAIBatchCancel,
    OpenAIBatchDetail,
    OpenAIBatches,
)
from llm.views.chat import ChatCompletions, EmbeddingsView, ResponsesView
from llm.views.complete import Complete
from llm.views.feedback import FeedbackView
from llm.views.health import HealthView
from llm.views.models import ModelDetail, ModelList
from llm.views.ofrep import EvaluateFlag, EvaluateFlags
from llm.views.prompt_fetch import FetchPrompt
from llm.views.request_detail import RequestDetail

urlpatterns = [
    path("api/llm/callbacks", Callbacks.as_view()),
    path("api/llm/callbacks/<str:callback_id>", CallbackDetail.as_view()),
    path("api/llm/callbacks/<str:callback_id>/rotate", CallbackRotate.as_view()),
    path("api/llm/jobs", Jobs.as_view()),
    path("api/llm/jobs/<str:job_id>", JobDetail.as_view()),
    path("api/llm/jobs/<str:job_id>/result", JobAnswer.as_view()),
    path("api/llm/jobs/<str:job_id>/events", JobProgress.as_view()),
    path("api/llm/jobs/<str:job_id>/cancel", JobCancel.as_view()),
    path("api/llm/jobs/<str:job_id>/retry", JobRetry.as_view()),
    path("api/llm/batches", Batches.as_view()),
    path("api/llm/batches/<str:batch_id>", BatchDetail.as_view()),
    path("api/llm/batches/<str:batch_id>/results", BatchAnswers.as_view()),
    path("api/llm/batches/<str:batch_id>/cancel", BatchCancel.as_view()),
    path("v1/files", Files.as_view()),
    path("v1/files/<str:file_id>", FileDetail.as_view()),
    path("v1/files/<str:file_id>/content", FileContent.as_view()),
    path("v1/batches", OpenAIBatches.as_view()),
    path("v1/batches/<str:batch_id>", OpenAIBatchDetail.as_view()),
    path("v1/batches/<str:batch_id>/cancel", OpenAIBatchCancel.as_view()),
    path("v1/chat/completions", ChatCompletions.as_view()),
    path("v1/embeddings", EmbeddingsView.as_view()),
    path("v1/responses", ResponsesView.as_view()),
    path("v1/feedback", FeedbackView.as_view()),
    path("v1/requests/<str:request_id>", RequestDetail.as_view()),
    path("v1/models", ModelList.as_view()),
    path("v1/models/<path:name>", ModelDetail.as_view()),
    path("api/llm/complete", Complete.as_view()),
    path("api/llm/health", HealthView.as_view()),
    path("ofrep/v1/evaluate/flags", EvaluateFlags.as_view()),
    path("ofrep/v1/evaluate/flags/<str:key>", EvaluateFlag.as_view()),
    path("api/prompts/<str:key>/fetch", FetchPrompt.as_view()),
]
