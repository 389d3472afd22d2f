"""What the projector and the language model of pico-video learn from: many questions on a clip.

The first frames of a clip are a clip too. So behind one prefix there are questions on all of it and
questions that see its first frames alone, each as in a pass of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.pico.architecture import SPECIAL
from vzlib.embedded.video import notes
from vzlib.embedded.video.attention import question_mask
from vzlib.embedded.video.seen import Seen
from vzlib.scenes import Question, clips
from vzlib.training.answers import answer_loss, pack

BEGINNING = "beginning"  # what questions on first frames are logged as
FIRST_COUNTING = "beginning counting"  # those that are learned last, apart
TASKS = tuple(
    dict.fromkeys(
        [*clips.CLIP_TASKS, *clips.ALBUM_TASKS, *clips.LESSONS, BEGINNING, FIRST_COUNTING]
    )
)
OPENING = [SPECIAL.index(word) for word in ("<s>", "USER:")]  # what stands before the first frame
LABEL = 2  # words before a frame: what it is, and its number
EACH = {
    "motion": 1, "frame": 5, "counting": 1, "order": 2, "image": 4, "existence": 4, "shared": 1,
    "frame existence": 4, "frame counting": 3, "moving": 3,
}  # fmt: skip
EACH_OF_FIRST = {
    "motion": 1, "frame": 3, "counting": 1, "order": 2, "image": 2, "existence": 2, "shared": 1,
    "frame existence": 1, "frame counting": 1, "moving": 1,
}  # fmt: skip
# Of tasks of few questions.
WEIGHTS = {"motion": 3.0, "counting": 3.0, "order": 2.0, "shared": 3.0, FIRST_COUNTING: 3.0}
_FIRST = {"counting": FIRST_COUNTING}
NOTES = 0.5  # weight of `notes`
BEGINNINGS = 3  # how many a clip has


class Shown(NamedTuple):
    """How much of each frame is shown, and how.

    keep: tokens of it, CLS or not among them. favour: 1 or more keeps what things touch before all
    else, 0 draws all patches alike. stretched: whether each has the position that it has among all.
    """

    keep: int
    favour: float = 1.0
    stretched: bool = False


def some_tokens(seen: Seen, shown: Shown, cls: bool, generator: torch.Generator) -> Tensor:
    """Which tokens of each frame are kept, `[F, keep]`, in order; 0 is CLS.

    cls: whether CLS is one of them.
    """
    frames, patches = seen.touched.shape
    rating = torch.rand(frames, 1 + patches, generator=generator)
    rating[:, 1:] += shown.favour * seen.touched
    rating[:, 0] = 9 if cls else -9
    return rating.argsort(dim=1, descending=True)[:, : shown.keep].sort(dim=1).values


def asked_of(seen: Seen, beginnings: int, generator: torch.Generator) -> list[tuple[Question, int]]:
    """Questions on a clip, and how many of its frames each is about, from the first on."""
    clip, whole = seen.clip, len(seen.clip.frames)
    questions = [(question, whole) for question in clips.ask(clip, EACH, lessons=True)]
    first = next(number for number, frame in enumerate(clip.frames, 1) if frame.objects)
    shorter = torch.randperm(whole - first, generator=generator)[:beginnings] + first
    for count in shorter.tolist():
        part = replace(clip, frames=clip.frames[:count])
        questions += [
            (replace(question, task=_FIRST.get(question.task, BEGINNING)), count)
            for question in clips.ask(part, EACH_OF_FIRST, lessons=True)
        ]
    return questions


def clip_loss(
    model: LlavaForConditionalGeneration,
    heads: notes.Notes,
    vocabulary: Mapping[str, int],
    batch: Sequence[Seen],
    shown: Shown,
    step: int,
) -> tuple[Tensor, Tensor, dict[str, float]]:
    """Cross-entropy of the answers, that of the notes, and shares that are right, to log."""
    generator = torch.Generator().manual_seed(step)
    frames, every = len(batch[0].clip.frames), 1 + batch[0].touched.shape[1]
    cls = shown.keep >= every or bool(torch.rand((), generator=generator) < 0.8)
    index = torch.stack([some_tokens(seen, shown, cls, generator) for seen in batch])
    kept = torch.stack([seen.features for seen in batch])
    kept = kept.gather(2, index.unsqueeze(-1).expand(-1, -1, -1, kept.shape[-1]))
    labels = torch.stack([seen.events for seen in batch])
    labels = torch.nn.functional.pad(labels, (1, 0), value=notes.ABSENT).gather(2, index)

    embed = model.get_input_embeddings()
    visual = model.model.multi_modal_projector(kept)  # [B, F, keep, H]
    word = "frame" if batch[0].clip.kind == "clip" else "image"
    names = torch.tensor([[vocabulary[word], vocabulary[str(1 + i)]] for i in range(frames)])
    before = embed(names).to(visual.dtype).expand(len(batch), -1, -1, -1)
    numbered = torch.cat([before, visual], dim=2)
    opening = embed(torch.tensor(OPENING)).to(visual.dtype).expand(len(batch), -1, -1)
    prefix = torch.cat([opening, numbered.flatten(1, 2)], dim=1)

    asked = [asked_of(seen, BEGINNINGS, generator) for seen in batch]
    packed = pack([[question for question, _ in row] for row in asked], vocabulary, TASKS)
    about = torch.zeros(len(batch), max(map(len, asked)), dtype=torch.long)
    for row, questions in zip(about, asked, strict=True):
        row[: len(questions)] = torch.tensor([count for _, count in questions])
    about = about.gather(1, packed.block.clamp(min=0))  # frames that each token is about

    within = torch.arange(LABEL + shown.keep).expand(*index.shape[:2], -1).clone()
    step_of = LABEL + (every if shown.stretched else shown.keep)
    if shown.stretched:
        within[..., LABEL:] = LABEL + index
    positions = len(OPENING) + within + step_of * torch.arange(frames)[:, None]
    first = torch.arange(len(OPENING)).expand(len(batch), -1)
    own = len(OPENING) + about * step_of + packed.place
    seen = model.model.language_model(
        inputs_embeds=torch.cat([prefix, embed(packed.ids).to(prefix.dtype)], dim=1),
        attention_mask=question_mask(
            packed.block,
            len(OPENING) + about * (LABEL + shown.keep),
            prefix.shape[1],
        ),
        position_ids=torch.cat([first, positions.flatten(1), own], dim=1),
        use_cache=False,
        output_hidden_states=True,
    )
    hidden = seen.last_hidden_state[:, prefix.shape[1] :]
    told, right = answer_loss(model, hidden, packed, TASKS, WEIGHTS)
    at = torch.arange(frames)[:, None] * (LABEL + shown.keep) + torch.arange(shown.keep)
    noted, known = notes.loss(heads, seen.hidden_states, len(OPENING) + LABEL + at, labels)
    return told, noted, right | known
