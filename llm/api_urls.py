"""The gateway's endpoints on the cold path."""

from llm.jobs.views.queue_metrics import QueueMetrics
from llm.views.experiment import ExperimentDetail, Experiments, PromptMetrics
from valuecanvas.core.api.routes import endpoint

urlpatterns = [
    *endpoint("prompts/<str:key>/metrics", PromptMetrics),
    *endpoint("experiments", Experiments),
    *endpoint("queue/metrics", QueueMetrics),
    *endpoint("experiments/<str:key>", ExperimentDetail),
]
