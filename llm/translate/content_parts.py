"""The content parts of a Responses message as the content of a chat message."""

from llm.translate.typed_fields import (
    Json,
    a_list_of_objects,
    a_string,
    an_object,
    unsupported_field,
)

TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
# Parts in the form of a chat are passed on as they are.
OF_A_CHAT = ("image_url", "video_url", "file")


def chat_content(content: object, param: str) -> str | list[Json]:
    """The content of a message, or what a function returned; a lone text becomes a
    string. Raises InvalidRequest, naming the part.
    """
    if isinstance(content, str):
        return content
    parts = [_part(part, where) for part, where in a_list_of_objects(content, param)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return parts


def assistant_text(content: object, param: str) -> str:
    """The assistant's text or refusal, as one string."""
    if isinstance(content, str):
        return content
    return "".join(
        a_string(part.get("refusal"), f"{where}.refusal")
        if part.get("type") == "refusal"
        else _text(part, where)
        for part, where in a_list_of_objects(content, param)
    )


def _part(part: Json, param: str) -> Json:
    kind = part.get("type")
    if kind == "input_image":
        return _image(part, param)
    if kind == "input_file":
        return _file(part, param)
    if kind == "input_audio":
        sound = an_object(part.get("input_audio"), f"{param}.input_audio")
        return {"type": "input_audio", "input_audio": sound}
    if kind == "input_video":
        url = a_string(part.get("video_url"), f"{param}.video_url")
        return {"type": "video_url", "video_url": {"url": url}}
    if kind in OF_A_CHAT:
        an_object(part.get(kind), f"{param}.{kind}")
        return part
    return {"type": "text", "text": _text(part, param)}


def _text(part: Json, param: str) -> str:
    if part.get("type") not in TEXTS:
        raise unsupported_field(
            f"{param}.type",
            "This kind of content",
            "Send texts, images, sounds or files.",
        )
    return a_string(part.get("text"), f"{param}.text")


def _image(part: Json, param: str) -> Json:
    if part.get("image_url") is None and part.get("file_id"):
        raise unsupported_field(
            f"{param}.file_id",
            "An image by its file id",
            "Send it in 'image_url', as a URL or a data URL.",
        )
    image: Json = {"url": a_string(part.get("image_url"), f"{param}.image_url")}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Json, param: str) -> Json:
    if part.get("file_url"):
        raise unsupported_field(
            f"{param}.file_url", "A file by its URL", "Send it in 'file_data'."
        )
    names = ("file_data", "file_id", "filename")
    file = {name: part[name] for name in names if part.get(name) is not None}
    if "file_id" not in file:
        a_string(file.get("file_data"), f"{param}.file_data")
    return {"type": "file", "file": file}
