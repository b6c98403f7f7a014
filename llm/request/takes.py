"""What a model may take besides text, or do."""

from django.db.models import TextChoices


class Takes(TextChoices):
    TEXT = "text", "Text"
    PICTURES = "pictures", "Pictures"
    SOUND = "sound", "Sound"
    FILES = "files", "Files"
    TOOLS = "tools", "Tools"
    SCHEMA = "schema", "Schema of the answer"
