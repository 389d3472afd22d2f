"""Several questions about an image, one after the other, with the cache kept from turn to turn.

The first question is read as any prompt is, and a method inside the language model chooses by it;
what it drops is in no cache, so that later questions see what the first one left. They follow in
one of two forms:

- "kept": the next turn stands behind the last answer, as a chat has it, and sees all before it;
- "dropped": what was asked and answered is taken from the cache, and the next question stands where
  the first one stood. It sees the image, as it is in the cache, and nothing else.

A model that was trained on single questions knows the second form alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vzlib.evaluation.questions import Question
from vzlib.evaluation.scoring import SCORES
from vzlib.methods.inside.memory import Memory
from vzlib.methods.inside.pruned_pass import run_layers
from vzlib.methods.inside.pruned_prefill import Opening, pruned_prefill
from vzlib.methods.inside.schedule import Inside
from vzlib.models.answer import prompt

History = Literal["dropped", "kept"]
_SAID = "\0"  # stands for an answer while a template is read


class Turn(NamedTuple):
    """One turn of B dialogues.

    said: the answers. read: `[B, L]` tokens that each layer reads before the first word. held:
    `[B, L]` tokens that the cache holds of each layer before that.
    """

    said: tuple[str, ...]
    read: Tensor
    held: Tensor


@torch.no_grad()
def converse(
    model: Any,
    processor: Any,
    opening: Opening,
    rows: Sequence[int],
    dialogues: Sequence[Sequence[str]],
    method: Inside | None = None,
    *,
    history: History = "dropped",
    seed: int = 0,
    max_new_tokens: int = 16,
) -> Iterator[Turn]:
    """Greedy answers to dialogues, turn by turn; a kept history holds the model's own answers.

    opening: of prompts about images, as `vzlib.evaluation.judging.open_images` makes it. rows: for
    each dialogue the row of the opening it is about. dialogues: their questions, as many in each.
    method: chooses by the first question; None keeps everything.

    Raises ValueError for dialogues that differ in length or number from what else is given, and as
    `pruned_prefill` does.
    """
    lengths = {len(one) for one in dialogues}
    if len(lengths) != 1 or len(rows) != len(dialogues) or 0 in lengths:
        raise ValueError(
            f"{len(dialogues)} dialogues of {sorted(lengths)} turns about {len(rows)} rows: give "
            "at least one, of as many turns each, and a row for each"
        )
    device = opening.hidden[0].device
    ids, real = _padded([_first(processor, one[0]) for one in dialogues], device)
    pruned = pruned_prefill(
        model.base_model.language_model,
        opening,
        model.get_input_embeddings()(ids),
        method,
        rows=torch.tensor(rows, device=device),
        asked=real.sum(dim=1),
        seed=seed,
    )
    image = pruned.length - ids.shape[1]
    before = torch.ones(len(rows), image, dtype=torch.bool, device=device)
    state = _State(model, pruned.cache, torch.cat([before, real], dim=1), image + real.sum(dim=1))
    last = pruned.hidden[torch.arange(len(rows)), real.sum(dim=1) - 1]
    left = torch.stack([(place >= 0).sum(dim=1) for place in pruned.places], dim=1) + opening.image
    words: list[list[int]] = []
    read, held = left + real.sum(dim=1, keepdim=True), torch.zeros_like(left)
    for number in range(next(iter(lengths))):
        if number:
            texts = [one[number] for one in dialogues]
            if history == "dropped":
                state.forget(image)
                own = [_first(processor, text) for text in texts]
            else:
                own = [
                    [*one[-1:], *_next(processor, text)]
                    for one, text in zip(words, texts, strict=True)
                ]
            ids, real = _padded(own, device)
            held = left + (state.valid[:, image:]).sum(dim=1, keepdim=True)
            read = real.sum(dim=1, keepdim=True).expand_as(held)
            last = state.read(ids, real)
        words = state.say(last, max_new_tokens)
        said = processor.batch_decode(words, skip_special_tokens=True)
        yield Turn(tuple(text.strip() for text in said), read, held)


def score(question: Question, said: str) -> float:
    """Of a generated answer, by the question's own rule."""
    if question.scoring == "verbatim":
        return float(said == question.answers[0])
    return SCORES[question.scoring](said, question.answers)


@dataclass
class _State:
    """Dialogues on the way.

    valid: `[B, C]` bool, False for padding, of all tokens so far, also of those that a method
    dropped. place: `[B]`, the position of the next token.
    """

    model: Any
    cache: Any
    valid: Tensor
    place: Tensor

    def read(self, ids: Tensor, real: Tensor) -> Tensor:
        """Last hidden states `[B, D]` of the last tokens of `ids` [B, T] that are `real`."""
        self.valid = torch.cat([self.valid, real], dim=1)
        passed = run_layers(
            self.model.base_model.language_model,
            self.model.get_input_embeddings()(ids),
            self.place.unsqueeze(1) + (real.cumsum(dim=1) - 1).clamp(min=0),
            cache=self.cache,
            valid=self.valid,
            mask=self.valid,
        )
        count = real.sum(dim=1)
        self.place = self.place + count
        return passed.hidden[torch.arange(len(ids)), (count - 1).clamp(min=0)]

    def say(self, last: Tensor, most: int) -> list[list[int]]:
        """At most so many words each, with the end token if it came; the last is not read yet."""
        end = self.model.generation_config.eos_token_id
        ends = [] if end is None else [end] if isinstance(end, int) else list(end)
        words: list[list[int]] = [[] for _ in last]
        for step in range(most):
            best = self.model.lm_head(last).argmax(dim=-1)
            going = [not (own and own[-1] in ends) for own in words]
            for own, word, goes in zip(words, best.tolist(), going, strict=True):
                if goes:
                    own.append(word)
            going = [goes and own[-1] not in ends for own, goes in zip(words, going, strict=True)]
            if step + 1 == most or not any(going):
                break
            last = self.read(best.unsqueeze(1), torch.tensor(going, device=last.device)[:, None])
        return words

    def forget(self, length: int) -> None:
        """Take all from the cache that came behind the first `length` tokens, which is text."""
        self.cache.crop(length - self.valid.shape[1])
        self.place = torch.full_like(self.place, length)
        self.valid = self.valid[:, :length]
        memory: Memory | None = getattr(self.cache, "entered", None)
        if memory is not None and memory.length > length:
            made = {id(one): one[:, : one.shape[1] - memory.length + length]
                    for one in memory.columns}  # fmt: skip
            columns = tuple(made[id(one)] for one in memory.columns)
            self.cache.entered = Memory(length, columns, memory.ragged)


def _padded(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids `[B, T]`, padded on the right, and which of them are no padding."""
    ids = pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
    length = torch.tensor([len(text) for text in texts])
    real = torch.arange(ids.shape[1]) < length.unsqueeze(1)
    return ids.to(device), real.to(device)


def _first(processor: Any, question: str) -> list[int]:
    """The ids behind the image where a question is the first one."""
    tokenizer = processor.tokenizer
    ids = tokenizer(prompt(processor, question))["input_ids"]
    return ids[ids.index(tokenizer.convert_tokens_to_ids(processor.image_token)) + 1 :]


def _next(processor: Any, question: str) -> list[int]:
    """The ids behind an answer and its end where another question follows, as a chat has it."""
    tokenizer = processor.tokenizer
    if getattr(processor, "chat_template", None) is None:
        text = f"USER: {question} ASSISTANT:"
    else:
        words: list[dict[str, Any]] = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in (("user", _SAID), ("assistant", _SAID), ("user", question))
        ]
        whole = processor.apply_chat_template(words, add_generation_prompt=True, tokenize=False)
        text = whole.rpartition(_SAID)[2].removeprefix(tokenizer.eos_token or "")
    return tokenizer(text, add_special_tokens=False)["input_ids"]
