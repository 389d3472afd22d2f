"""An image that several questions of a batch are about goes through the tower once.

The tower takes most of the time of a short answer, and a batch makes it no faster on a CPU; but
benchmarks ask several questions about an image, one after the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vzlib.models import overrides


def share_images(model: Any, needs: Sequence[str] = ()) -> bool:
    """Let the tower of a LLaVA-1.5 see each image of a batch once, however often it is asked about.

    Laid over a model that is zipped already. needs: of its method. Returns whether it was done: all
    is left as it is where an image has several views, or is reduced by what is asked about it.
    """
    if not isinstance(model.base_model, LlavaModel) or "text" in needs:
        return False
    overrides.put(model.base_model, "get_image_features", _once)
    return True


def _once(below: Callable[..., Any], core: Any, pixel_values: Tensor, **options: Any) -> Any:
    """The features of images [B, 3, H, W], those of equal ones computed once.

    Of the output only `pooler_output` is made, which is all that `forward` reads.
    """
    images = [
        image.contiguous().view(torch.uint8).cpu().numpy().tobytes() for image in pixel_values
    ]
    numbers = {image: number for number, image in enumerate(dict.fromkeys(images))}
    if len(numbers) == len(images) or options.get("image_sizes") is not None:
        return below(core, pixel_values, **options)
    first = torch.tensor([images.index(image) for image in numbers], device=pixel_values.device)
    features = below(core, pixel_values[first], **options).pooler_output
    shared: Any = [features[numbers[image]] for image in images]  # declared a tensor
    return BaseModelOutputWithPooling(pooler_output=shared)
