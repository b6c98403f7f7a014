"""The gateway's endpoints on the cold path."""

from llm.jobs.views.queue_metrics import QueueMetrics
from llm.views.chaos_run import ChaosRunDetail, ChaosRuns
from llm.views.experiment import ExperimentDetail, Experiments, PromptMetrics
from valuecanvas.core.api.routes import endpoint

urlpatterns = [
    *endpoint("prompts/<str:key>/metrics", PromptMetrics),
    *endpoint("experiments", Experiments),
    *endpoint("queue/metrics", QueueMetrics),
    *endpoint("experiments/<str:key>", ExperimentDetail),
    *endpoint("chaos/runs", ChaosRuns),
    *endpoint("chaos/runs/<str:run_id>", ChaosRunDetail),
]
