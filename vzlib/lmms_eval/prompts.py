"""Between the terms of lmms-eval and those of a stock model: prompts, and how to generate."""

from collections.abc import Mapping, Sequence
from typing import Any

from vzlib.models.answer import prompt

LONGEST = 1024  # tokens of an answer where a task says nothing, as lmms-eval's own models


def media(messages: Sequence[Mapping[str, Any]], task: str) -> list[Any]:
    """The images of a conversation, in their order.

    Raises ValueError for anything else than images and text.
    """
    contents = [content for message in messages for content in message["content"]]
    if other := sorted({each["type"] for each in contents} - {"image", "text"}):
        raise ValueError(f"task {task} shows {', '.join(other)}; --model vzlib takes images")
    return [each["url"] for each in contents if each["type"] == "image"]


def prompt_of(processor: Any, messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation as the model was trained to see it, by its chat template.

    Raises ValueError where there is no template and more is said than a question about an image.
    """
    if getattr(processor, "chat_template", None) is not None:
        plain = [
            {
                "role": message["role"],
                "content": [
                    {"type": "text", "text": each["text"]}
                    if each["type"] == "text"
                    else {"type": each["type"]}
                    for each in message["content"]
                ],
            }
            for message in messages
        ]
        return processor.apply_chat_template(plain, add_generation_prompt=True, tokenize=False)
    if [each["type"] for each in messages[0]["content"]] != ["image", "text"] or len(messages) > 1:
        raise ValueError("a processor without a chat template takes one question about one image")
    return prompt(processor, messages[0]["content"][1]["text"])


def generation(asked: Mapping[str, Any], padding: int | None) -> tuple[dict[str, Any], list[str]]:
    """What `generate` is called with for a task's `generation_kwargs`, and where an answer ends.

    Random where a temperature above 0 is asked for and not forbidden by `do_sample: false`.
    """
    temperature = float(asked.get("temperature") or 0)
    sample = temperature > 0 and asked.get("do_sample", True)
    options: dict[str, Any] = {
        "max_new_tokens": int(asked.get("max_new_tokens") or LONGEST),
        "num_beams": int(asked.get("num_beams") or 1),
        "do_sample": bool(sample),
        "pad_token_id": padding,
    }
    if sample:
        options |= {"temperature": temperature}
        options |= {"top_p": asked["top_p"]} if asked.get("top_p") else {}
    until = asked.get("until") or []
    return options, [until] if isinstance(until, str) else list(until)


def cut(said: str, until: Sequence[str]) -> str:
    """An answer up to the first of the texts that end it, without space around."""
    for end in until:
        said = said.split(end)[0] if end else said
    return said.strip()
