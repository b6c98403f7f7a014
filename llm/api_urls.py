"""The gateway's endpoints on the cold path."""

from llm.views.experiment import ExperimentDetail, Experiments, PromptMetrics
from valuecanvas.core.api.routes import endpoint

urlpatterns = [
    *endpoint("prompts/<str:key>/metrics", PromptMetrics),
    *endpoint("experiments", Experiments),
    *endpoint("experiments/<str:key>", ExperimentDetail),
]
