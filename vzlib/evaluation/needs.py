"""What some methods must be given besides what the tower's layer tells."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vzlib.evaluation.answering import Way
from vzlib.evaluation.questions import Asked
from vzlib.evaluation.seen import seen
from vzlib.methods.before import Further
from vzlib.models.load import Loaded
from vzlib.models.smaller import look_smaller
from vzlib.models.towers import encode, received_by_layer
from vzlib.tokens.evidence import Encoded


def of_images(
    loaded: Loaded, ways: Sequence[Way], pixels: Tensor, remember: bool
) -> tuple[Encoded, Further]:
    """What the tower tells of images, and what the ways need besides.

    The attention of all blocks takes another pass of the tower, but if it is to `remember`.
    """
    needs = {name for way in ways for name in way.before.needs}
    found: dict[str, Any] = {}
    if remember:
        known = seen(loaded, pixels)
        encoded = known.encoded
        found = {"received": known.received, "received_from_all": known.received_from_all}
    else:
        encoded = encode(loaded.tower, pixels, layer=loaded.layer, beside=loaded.beside)
        if "received" in needs:
            found["received"] = received_by_layer(loaded.tower, pixels)
        if "received_from_all" in needs:
            found["received_from_all"] = received_by_layer(loaded.tower, pixels, cls=False)
    if "smaller" in needs:
        layers = (*loaded.beside, loaded.layer)
        found["smaller"] = partial(look_smaller, loaded.tower, (pixels,), layers)
    if "projected" in needs:
        found["projected"] = loaded.model.model.multi_modal_projector(encoded.hidden)
    return encoded, Further(**found)


def by_question(
    loaded: Loaded, images: Sequence[Asked], encoded: Encoded, further: Further
) -> tuple[list[Asked], Encoded, Further]:
    """Each question with an image of its own, for methods that choose by the question."""
    asked = [one._replace(questions=(q,)) for one in images for q in one.questions]
    row = torch.tensor([i for i, one in enumerate(images) for _ in one.questions])
    row = row.to(encoded.hidden.device)
    rows: dict[str, Any] = {
        name: part[row] for name, part in further._asdict().items() if isinstance(part, Tensor)
    }
    told = further._replace(**rows)
    tokenizer = loaded.processor.tokenizer
    ids = [
        torch.tensor(tokenizer(one.questions[0].text, add_special_tokens=False)["input_ids"])
        for one in asked
    ]
    words = pad_sequence([torch.ones(len(one), dtype=torch.bool) for one in ids], batch_first=True)
    text = loaded.model.get_input_embeddings()(pad_sequence(ids, batch_first=True).to(row.device))
    told = told._replace(text=text, words=words.to(row.device))
    return asked, Encoded(*(part[row] for part in encoded)), told
