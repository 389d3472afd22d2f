"""What the projector and the language model of pico-video learn from: many questions on a clip."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.pico.architecture import SPECIAL
from vzlib.embedded.video.seen import Seen
from vzlib.scenes import clips
from vzlib.training.answers import answer_loss, hidden_states, pack

TASKS = tuple(dict.fromkeys([*clips.CLIP_TASKS, *clips.ALBUM_TASKS, *clips.LESSONS]))
OPENING = [SPECIAL.index(word) for word in ("<s>", "USER:")]  # what stands before the first frame
EACH = {
    "motion": 1, "frame": 5, "counting": 1, "order": 2, "image": 4, "existence": 4, "shared": 1,
    "frame existence": 4, "frame counting": 3, "moving": 3,
}  # fmt: skip
WEIGHTS = {"motion": 3.0, "counting": 3.0, "order": 2.0, "shared": 3.0}  # of tasks of few questions


def some_tokens(
    seen: Seen, keep: int, cls: bool, favour: float, generator: torch.Generator
) -> Tensor:
    """`keep` of the tokens of each frame, `[F, keep, D]`, in order.

    cls: whether CLS is one of them. favour: 1 or more keeps what things touch before all else, 0
    draws all patches alike.
    """
    frames, patches = seen.touched.shape
    rating = torch.rand(frames, 1 + patches, generator=generator)
    rating[:, 1:] += favour * seen.touched
    rating[:, 0] = 9 if cls else -9
    index = rating.argsort(dim=1, descending=True)[:, :keep].sort(dim=1).values
    return seen.features.gather(1, index.unsqueeze(-1).expand(-1, -1, seen.features.shape[-1]))


def clip_loss(
    model: LlavaForConditionalGeneration,
    vocabulary: Mapping[str, int],
    batch: Sequence[Seen],
    keep: int,
    step: int,
    favour: float,
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the answers and, to log, the share of answers all right per task.

    keep: tokens of each frame that the language model is given.
    """
    generator = torch.Generator().manual_seed(step)
    cls = keep > batch[0].touched.shape[1] or bool(torch.rand((), generator=generator) < 0.8)
    kept = torch.stack([some_tokens(seen, keep, cls, favour, generator) for seen in batch])
    visual = model.model.multi_modal_projector(kept)  # [B, F, keep, H]
    word = "frame" if batch[0].clip.kind == "clip" else "image"
    names = [[vocabulary[word], vocabulary[str(1 + number)]] for number in range(kept.shape[1])]
    before = model.get_input_embeddings()(torch.tensor(names))
    before = before.to(visual.dtype).expand(len(batch), -1, -1, -1)
    prefix = torch.cat([before, visual], dim=2).flatten(1, 2)
    questions = [clips.ask(seen.clip, EACH, lessons=True) for seen in batch]
    asked = pack(questions, vocabulary, TASKS)
    hidden, _ = hidden_states(model, prefix, asked, OPENING)
    return answer_loss(model, hidden, asked, TASKS, WEIGHTS)
