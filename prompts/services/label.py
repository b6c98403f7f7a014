"""Labels: move by compare-and-set, roll back, remove. `production` is live."""

from django.core.exceptions import ValidationError
from django.db import transaction

from prompts.models import Label, Prompt, PromptEvent, PromptVersion, Rollout
from prompts.models.event import PromptAction
from prompts.models.label import NAME
from prompts.models.rollout import LIVE
from prompts.rendering.label_names import LATEST, PRODUCTION
from prompts.services import composition
from prompts.services.actor import PromptActor, require_move
from prompts.services.audit import lock, record
from prompts.services.endings import end
from valuecanvas.core.errors import Conflict

_MOVES = (
    PromptAction.MOVED,
    PromptAction.ROLLED_BACK,
    PromptAction.ROLLOUT_FINISHED,
    PromptAction.EXPERIMENT_PROMOTED,
)


def move_label(
    prompt: Prompt,
    name: str,
    to_version: PromptVersion | int,
    *,
    expected: int | None,
    actor: PromptActor,
    reason: str = "",
) -> Label:
    """Move the label `name` to a version, if it points at version `expected` now.

    `expected` None: the label does not exist yet. Moving `production` ends a gradual
    rollout. Raises Conflict, which says who moved it, NotPermitted,
    ValidationError by field.
    """
    require_move(actor, name)
    with transaction.atomic():
        found = lock(prompt)
        version = version_of(found, to_version)
        label = find_label(found, name)
        _refuse_moved(found, name, label, expected)
        return point(found, name, label, version, PromptAction.MOVED, actor, reason)


def rollback(
    prompt: Prompt,
    *,
    actor: PromptActor,
    reason: str,
    to: PromptVersion | int | None = None,
    expected: int | None = None,
) -> Label:
    """Move `production` back to `to`, or to the version before.

    With `expected`, only if it points at that version now. Two rollbacks go back twice,
    never forward again. Raises as move_label does.
    """
    require_move(actor, PRODUCTION)
    if not reason.strip():
        raise ValidationError({"reason": "Give a reason: it is kept in the history."})
    with transaction.atomic():
        found = lock(prompt)
        label = find_label(found, PRODUCTION)
        if expected is not None:
            _refuse_moved(found, PRODUCTION, label, expected)
        target = to if to is not None else rollback_target(found)
        if target is None:
            raise ValidationError(
                {"version": "There is no earlier version in production to go back to."}
            )
        version, action = version_of(found, target), PromptAction.ROLLED_BACK
        return point(found, PRODUCTION, label, version, action, actor, reason)


def remove_label(
    prompt: Prompt,
    name: str,
    *,
    actor: PromptActor,
    reason: str = "",
    expected: int | None = None,
) -> None:
    """Remove the label; clients that request it get an error.

    With `expected`, only if it points at that version now. Raises as move_label does,
    also if another prompt includes this one by the label.
    """
    require_move(actor, name)
    with transaction.atomic():
        found = lock(prompt)
        label = find_label(found, name)
        if label is None:
            raise ValidationError({"label": f"There is no label '{name[:40]}'."})
        if expected is not None:
            _refuse_moved(found, name, label, expected)
        composition.check_removal(found, name)
        if name == PRODUCTION:
            _end_rollout(found, None, actor, reason)
        label.delete()
        record(
            found,
            PromptAction.LABEL_REMOVED,
            actor,
            label=name,
            from_version=label.version.number,
            reason=reason,
        )


def rollback_target(prompt: Prompt) -> int | None:
    """The target version of a rollback; None without one.

    The audit is read as a stack: a move pushes a version, a rollback pops.
    """
    current = prompt.labels.filter(name=PRODUCTION).values_list(
        "version__number", flat=True
    )
    now = current.first()
    stack: list[int] = []
    moves = PromptEvent.objects.filter(
        prompt=prompt, label=PRODUCTION, action__in=_MOVES
    )
    for action, number in moves.order_by("id").values_list("action", "to_version"):
        if number is None:
            continue
        if action == PromptAction.ROLLED_BACK:
            stack = _pop_to(stack, number)
        elif stack[-1:] != [number]:
            stack.append(number)
    earlier = [number for number in stack if number != now]
    if now is not None and now in stack:
        # The versions below its last position in the stack.
        below = stack[: len(stack) - 1 - stack[::-1].index(now)]
        earlier = [number for number in below if number != now]
    return earlier[-1] if earlier else None


def version_of(prompt: Prompt, version: PromptVersion | int) -> PromptVersion:
    """The version of the prompt by number. Raises ValidationError for 'version'."""
    number = version if isinstance(version, int) else version.number
    found = prompt.versions.filter(number=number).first()
    if found is None:
        raise ValidationError(
            {"version": f"'{prompt.key}' has no version {number}."}, code="no_version"
        )
    return found


def point(
    prompt: Prompt,
    name: str,
    label: Label | None,
    version: PromptVersion,
    action: PromptAction,
    actor: PromptActor,
    reason: str,
    *,
    check: bool = True,
) -> Label:
    """Save the move with an audit row, in the transaction that locked the prompt.

    Without `check` the caller checks inclusions.
    """
    before = _number(label)
    ends_rollout = name == PRODUCTION and action != PromptAction.ROLLOUT_FINISHED
    if label is not None and before == version.number:
        if ends_rollout:
            _end_rollout(prompt, version, actor, reason)
        return label
    if label is None:
        check_name(name)
        label = Label(prompt=prompt, name=name)
    if check:
        composition.check_use(prompt, version.number, name)
    label.version = version
    label.save()
    record(
        prompt,
        action,
        actor,
        label=name,
        from_version=before,
        to_version=version.number,
        reason=reason,
    )
    if ends_rollout:
        _end_rollout(prompt, version, actor, reason)
    return label


def find_label(prompt: Prompt, name: str) -> Label | None:
    """The label with its version; None: there is none."""
    return prompt.labels.select_related("version").filter(name=name).first()


def check_name(name: str) -> None:
    """Check the name of a label that can be moved. Raises ValidationError for 'label'."""
    if name == LATEST:
        text = "'latest' is always the newest version; it can't be moved."
        raise ValidationError({"label": text})
    try:
        NAME(name)
    except ValidationError as error:
        raise ValidationError({"label": error.messages}) from None
    if len(name) > 40:
        raise ValidationError({"label": "A label has at most 40 characters."})


def _number(label: Label | None) -> int | None:
    return label.version.number if label else None


def _refuse_moved(
    prompt: Prompt, name: str, label: Label | None, expected: int | None
) -> None:
    """Raises Conflict, which says who moved the label, and where it is now."""
    if _number(label) == expected:
        return
    moves = PromptEvent.objects.filter(prompt=prompt, label=name)
    last = moves.order_by("-id").first()
    where = f"points at version {label.version.number}" if label else "does not exist"
    who = f": {last.actor_name} moved it" if last else ""
    raise Conflict(
        f"The label '{name[:40]}' {where} now{who}.",
        code="label_conflict",
        extra={
            "label": name,
            "current_version": _number(label),
            "moved_by": last.actor_name if last else None,
            "moved_at": last.at.isoformat() if last else None,
            "reason": last.reason if last else None,
        },
    )


def _pop_to(stack: list[int], number: int) -> list[int]:
    """The stack after a rollback to `number`."""
    if number in stack:
        return stack[: len(stack) - stack[::-1].index(number)]
    return [*stack[:-1], number]


def _end_rollout(
    prompt: Prompt, version: PromptVersion | None, actor: PromptActor, reason: str
) -> None:
    """End the live rollout: a move by hand replaces it for all users."""
    live = Rollout.objects.filter(prompt=prompt, state__in=LIVE)
    rollout = live.select_related("version").first()
    if rollout is not None:
        end(
            rollout,
            finished=version is not None and rollout.version_id == version.pk,
            actor=actor,
            reason=reason or "The label production was moved.",
        )
