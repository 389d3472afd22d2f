"""Mini-Gemini: one view an image, CLIP tokens that mine ConvNeXt's features.

What differs from the model while it is zipped: `get_image_features` reduces tokens by the evidence
of CLIP before the projector. The CLS token rates and does not go on: it has no window to mine. The
paper does not say whether its authors chose before mining or after. Here the default is after: a
token that merged from others then has what was mined for each of them. `config.mined = "kept"`
chooses first and mines for the chosen ones alone, which saves the projections of all other windows;
a merged token mines where it stands, or where the first of its parts did.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from vzlib.models.family import Methods, in_stock_form, no_clips, placeholder_mask, projector
from vzlib.models.llava import layer, tower
from vzlib.models.shape import Shape
from vzlib.models.tiles import in_order_of_views
from vzlib.models.tower_parts import has_cls
from vzlib.models.towers import encode_as_asked, received_by_layer
from vzlib.models.views import ByView, seen_apart
from vzlib.tokens.evidence import Encoded, Reduced

__all__ = ["layer", "projector", "tower"]  # as of LLaVA-1.5

VIEWS, APART = True, False
TOLD: str | None = None
clips = no_clips


def shapes(config: Any, inputs: Mapping[str, Any]) -> list[Shape]:
    return [largest(config)] * len(inputs.get("pixel_values", ()))


def largest(config: Any) -> Shape:
    eye = config.vision_config
    tokens = (eye.image_size // eye.patch_size) ** 2
    return Shape(1, tokens, tokens)


@in_stock_form
def image_features(
    reduction: ByView,
    stock: Callable[[], Any],
    core: Any,
    pixel_values: Tensor,
    vision_feature_layer: int | None = None,
    **options: Any,
) -> Any:
    """As the stock method; `last_hidden_state` are the reduced tokens, [B, K, D]."""
    found = shapes(core.config, {"pixel_values": pixel_values})
    if reduction.leaves(core, found):
        return stock()
    read, eye = layer(core, vision_feature_layer), core.vision_tower
    small, windows = core.seen_small(pixel_values), core.windows(pixel_values)
    evidence, output = encode_as_asked(eye, small, layer=read)
    hidden, scores, keys = (part[:, int(has_cls(eye)) :] for part in evidence)
    if core.config.mined == "all":
        hidden = core.mined(hidden, windows)
    needs, further = reduction.method.needs, dict[str, Tensor]()
    for name, by_cls in (("received", None), ("received_from_all", False)):
        if name in needs:
            further[name] = received_by_layer(eye, small, cls=by_cls)[..., int(has_cls(eye)) :]
    if "projected" in needs:
        further["projected"] = projector(core)(hidden)
    images = seen_apart(found, Encoded(hidden, scores, keys), False, further)
    made = [each for each in reduction(core, images, in_order_of_views) if each is not None]
    tokens = torch.cat([each.tokens for each in made])
    if core.config.mined == "kept":
        where = torch.stack([_mines_at(each) for each in made])
        rows = torch.arange(len(where), device=where.device).unsqueeze(1)
        tokens = core.mined(tokens, windows[rows, where])
    output.last_hidden_state = tokens
    output.pooler_output = list(projector(core)(tokens))
    return output


METHODS: Methods = {
    "get_image_features": image_features,
    "get_placeholder_mask": placeholder_mask,
}
OUTER: Methods = {}


def _mines_at(reduced: Reduced) -> Tensor:
    """For each token [K] the window it mines: where it stands, or where its first part stood."""
    places, count = reduced.places[0], reduced.tokens.shape[1]
    parts = reduced.sources == torch.arange(count, device=places.device).unsqueeze(1)
    return torch.where(places < 0, parts.int().argmax(dim=1), places)
