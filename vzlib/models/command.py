"""What `vzlib ask` prints: what a model is, and its answer to a question."""

from contextlib import nullcontext
from typing import Any


def ask(
    name: str,
    *,
    image: str | None = None,
    question: str | None = None,
    retain: int | None = None,
    method: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> None:
    """Print what a model is and, given an image, its visual tokens and its answer to a question.

    image: path. retain: visual tokens to keep, None for all. method: by which, as `zip_model` takes
    it. Raises ValueError for bad input.
    """
    from vzlib.methods import registry
    from vzlib.models.answer import answer
    from vzlib.models.checkpoint import identity, resolve
    from vzlib.models.images import open_image
    from vzlib.models.load import load
    from vzlib.models.zip import zip_model
    from vzlib.tokens import Budget

    if question and not image:
        raise ValueError("a question needs an image")
    if method is not None:  # bad names, numbers and images stop here, before the weights
        registry.method(method)
    elif retain is not None:
        Budget.retain(retain)
    picture = open_image(image) if image else None

    loaded = load(resolve(name, device=device, dtype=dtype))
    model, processor = loaded.model, loaded.processor
    for what, value in _summary(model).items():
        print(f"{what:<16} {value}")
    print(f"{'identity':<16} {identity(loaded.checkpoint or name)}")
    zips: Any = nullcontext()
    if not (retain is None and method is None):
        zips = zip_model(model, processor, retain=retain, method=method)
    with zips as zipped:
        if zipped is not None:
            processor = zipped.processor
            if method is not None:
                print(f"{'method':<16} {registry.label_of(method)}")
            print(f"{'kept per image':<16} {zipped.budget or zipped.retain or 'as prompts ask'}")
        if picture is not None:
            inputs = processor(images=picture, text=processor.image_token, return_tensors="pt")
            count = int((inputs["input_ids"] == model.config.image_token_id).sum())
            print(f"{'visual tokens':<16} {count}")
        if question:
            print(f"{'question':<16} {question}")
            print(f"{'answer':<16} {answer(model, processor, picture, question)}")


def _summary(model: Any) -> dict[str, str]:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    tower = getattr(model.base_model, "vision_tower", None)
    return {
        "model": type(model).__name__,
        "vision tower": type(tower).__name__ if tower is not None else "-",
        "read at layer": str(getattr(model.config, "vision_feature_layer", "-")),
        "parameters": f"{parameters / 1e6:,.1f} M",
        "on": f"{model.device}, {str(model.dtype).removeprefix('torch.')}",
    }
