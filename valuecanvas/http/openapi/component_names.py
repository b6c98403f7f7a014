"""Names of the components: they become the classes of generated clients.

Inside the house `ShownFlag` and `GivenFlag` tell an answer from a request; a client's
developer wants `Flag` and `FlagRequest`.
"""

import re
from typing import Any

_PREFIX = "#/components/schemas/"
# What the general rule would leave unclear, or give a name that languages have taken.
_SPECIAL = {
    "BatchLineShapeRequest": "NewBatchLine",
    "BatchPage": "JobBatchPage",
    "BatchShape": "JobBatch",
    "FileShape": "FileObject",
    "GivenChangeReasonRequest": "FlagReasonRequest",
    "GivenChangeRequest": "FlagChangeRequest",
    "GivenConditionRequest": "FlagConditionRequest",
    "GivenContextRequest": "FlagContextRequest",
    "GivenNewShareRequest": "RolloutShareRequest",
    "GivenPrerequisiteRequest": "FlagPrerequisiteRequest",
    "GivenRampRequest": "FlagRampRequest",
    "GivenRevertRequest": "FlagRevertRequest",
    "GivenRuleRequest": "FlagRuleRequest",
    "GivenStepRequest": "RolloutStepRequest",
    "GivenVariantRequest": "FlagVariantRequest",
    "LimitShown": "LimitState",
    "PatchedDetailsRequest": "PromptDetailsRequest",
    "PatchedGivenCustomerRequest": "CustomerRequest",
    "PatchedGivenEditRequest": "FlagEditRequest",
    "RequestMessageRequest": "ChatMessage",
    "RequestShown": "RequestDetail",
    "ShownComparison": "ExperimentComparison",
    "ShownCompiled": "CompiledPrompt",
    "ShownDepth": "QueueDepth",
    "ShownFinding": "ChaosFinding",
    "ShownPause": "QueuePause",
    "ShownResults": "ExperimentResults",
    "ShownSample": "ChaosSample",
    "ShownUse": "SpendFigures",
    "ShownVerdict": "ExperimentVerdict",
    "ShownWorker": "QueueWorker",
    "StepEnum": "MetricsStepEnum",
    "StoredPromptRequest": "StoredPrompt",
    "UploadShapeRequest": "FileUpload",
}
_OF_PROMPTS = r"(Shown|Given)(Diff|Event|Label|Message|Metrics|Variable|Version)"


def rename_components(document: dict[str, Any]) -> None:
    """Rename the schemas of `document`, and what refers to them, in place."""
    schemas = document["components"].get("schemas", {})
    names = {name: _client_name(name) for name in schemas}
    if len({*names.values()}) < len(names):
        raise ValueError(
            f"Two components would have one name: {sorted(names.values())}"
        )
    document["components"]["schemas"] = {
        names[name]: schemas[name] for name in sorted(schemas, key=names.__getitem__)
    }
    _rename(document, names)


def _client_name(name: str) -> str:
    if name in _SPECIAL:
        return _SPECIAL[name]
    name = re.sub(_OF_PROMPTS, r"\1Prompt\2", name)
    name = re.sub("^(Paginated)?(Shown|Given)|Shape|Shown$", "", name)
    name = name.replace("RequestRequest", "Request")
    return name.removesuffix("Request") if name.startswith("New") else name


def _rename(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, list):
        for below in node:
            _rename(below, names)
    elif isinstance(node, dict):
        target = node.get("$ref", "")
        if isinstance(target, str) and target.startswith(_PREFIX):
            name = target.removeprefix(_PREFIX)
            node["$ref"] = _PREFIX + names.get(name, name)
        for below in node.values():
            _rename(below, names)
