"""Exports prompts to files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from django.db.models import Prefetch

from prompts.models import Label, Prompt, PromptVersion
from prompts.services.words import PromptTexts
from prompts.transfer.prompt_files import PromptFile, VersionFile, texts
from valuecanvas.core.transfer.commands import Exported, write


def export(folder: Path, keys: Sequence[str] = (), *, dry: bool = False) -> Exported:
    """Write all prompts, or those of `keys`; unchanged files are not written.

    Nothing is deleted. Raises OSError.
    """
    prompts, written = 0, []
    for prompt in load_prompt_files(keys):
        prompts += 1
        for name, text in texts(prompt):
            if write(folder / prompt.key / name, text.encode(), dry=dry):
                written.append(f"{prompt.key}/{name}")
    return Exported(prompts, written)


def load_prompt_files(keys: Sequence[str] = ()) -> Iterator[PromptFile]:
    """The prompts of the database in the form of files, by key."""
    rows = Prompt.objects.order_by("key").select_related("owner")
    if keys:
        rows = rows.filter(key__in=keys)
    labels = Prefetch("labels", Label.objects.select_related("version"))
    found = rows.prefetch_related(labels, "versions")
    for prompt in found.iterator(chunk_size=100):
        yield PromptFile(
            key=prompt.key,
            kind=prompt.kind,
            folder=prompt.folder,
            description=prompt.description,
            owner=prompt.owner.get_username() if prompt.owner else "",
            tags=prompt.tags,
            archived=prompt.archived,
            cache_policy=prompt.cache_policy,
            cache_scope=prompt.cache_scope,
            labels={one.name: one.version.number for one in prompt.labels.all()},
            versions={
                one.number: _version(prompt.kind, one) for one in prompt.versions.all()
            },
        )


def _version(kind: str, row: PromptVersion) -> VersionFile:
    words = PromptTexts(
        kind, row.template, row.messages, row.variables, row.model, row.parameters
    )
    return VersionFile(
        row.number, words, row.note, row.tags, row.author_name, row.created_at
    )
