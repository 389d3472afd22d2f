"""The command line of `python -m vzlib.models.load`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a model is, and its answer to a question. Returns 0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    if options.ask and not options.image:
        _parser().error("--ask needs --image")
    try:
        return _run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vzlib.models.load", description="Load a model, zip it, ask it."
    )
    parser.add_argument("name", help="pico, a folder, or a hub name")
    parser.add_argument("--image", help="path of an image")
    parser.add_argument("--ask", metavar="QUESTION", help="question about the image")
    parser.add_argument("--retain", type=int, help="visual tokens to keep (default: all)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    return parser


def _run(options: argparse.Namespace) -> int:
    from vzlib.models.answer import answer
    from vzlib.models.fingerprint import fingerprint
    from vzlib.models.images import open_image
    from vzlib.models.load import load
    from vzlib.models.zip import zip_model
    from vzlib.tokens import Budget

    if options.retain is not None:
        Budget.retain(options.retain)  # bad numbers and bad images stop here, before the weights
    image = open_image(options.image) if options.image else None

    loaded = load(options.name, options.device, options.dtype)
    model, processor = loaded.model, loaded.processor
    for name, value in _summary(model).items():
        print(f"{name:<16} {value}")
    print(f"{'fingerprint':<16} {fingerprint(model)}")
    with (
        nullcontext()
        if options.retain is None
        else zip_model(model, processor, retain=options.retain) as zipped
    ):
        if zipped is not None:
            processor = zipped.processor
            print(f"{'kept per image':<16} {zipped.budget}")
        if image is not None:
            inputs = processor(images=image, text=processor.image_token, return_tensors="pt")
            count = int((inputs["input_ids"] == model.config.image_token_id).sum())
            print(f"{'visual tokens':<16} {count}")
        if options.ask:
            print(f"{'question':<16} {options.ask}")
            print(f"{'answer':<16} {answer(model, processor, image, options.ask)}")
    return 0


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
