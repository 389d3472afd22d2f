"""Ask a model a question about one image."""

from typing import Any

import torch


def prompt(processor: Any, question: str) -> str:
    """The question as the model was trained to see it, with one image before it.

    From the processor's chat template, else in the form of LLaVA-1.5.
    """
    if getattr(processor, "chat_template", None) is None:
        return f"USER: {processor.image_token}\n{question} ASSISTANT:"
    content = [{"type": "image"}, {"type": "text", "text": question}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )


@torch.no_grad()
def answer(
    model: Any, processor: Any, image: Any, question: str, *, max_new_tokens: int = 32
) -> str:
    """The model's greedy answer. A zipped model needs its zipped processor.

    image: PIL image or array, or a path if the processor is zipped or takes paths.
    """
    inputs = processor(images=image, text=prompt(processor, question), return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)  # casts pixels only, not ids
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    words = processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return words.strip()
