"""URLs of the REST endpoints of prompts, under /api/."""

from prompts.api import compile, labels, prompts, rollouts, versions
from valuecanvas.core.api.routes import endpoint

urlpatterns = [
    *endpoint("prompts", prompts.Prompts),
    *endpoint("prompts/<str:key>", prompts.PromptDetail),
    *endpoint("prompts/<str:key>/restore", prompts.RestorePrompt),
    *endpoint("prompts/<str:key>/history", prompts.PromptHistory),
    *endpoint("prompts/<str:key>/versions", versions.Versions),
    *endpoint("prompts/<str:key>/versions/<str:version>", versions.VersionDetail),
    *endpoint("prompts/<str:key>/diff", versions.Diff),
    *endpoint("prompts/<str:key>/compile", compile.Compile),
    *endpoint("prompts/<str:key>/labels", labels.Labels),
    *endpoint("prompts/<str:key>/labels/<str:name>", labels.LabelDetail),
    *endpoint("prompts/<str:key>/rollback", labels.Rollback),
    *endpoint("prompts/<str:key>/rollouts", rollouts.Rollouts),
    *endpoint("prompts/<str:key>/rollout", rollouts.RolloutDetail),
    *endpoint("prompts/<str:key>/rollout/share", rollouts.Share),
    *endpoint("prompts/<str:key>/rollout/pause", rollouts.Pause),
    *endpoint("prompts/<str:key>/rollout/resume", rollouts.Resume),
    *endpoint("prompts/<str:key>/rollout/finish", rollouts.Finish),
    *endpoint("prompts/<str:key>/rollout/rollback", rollouts.RollBack),
]
