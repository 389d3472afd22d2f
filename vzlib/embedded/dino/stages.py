"""The stages of the training of dino-llava, one after the other."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration

from vzlib.embedded.dino.align import align, known
from vzlib.embedded.dino.architecture import LAYERS
from vzlib.embedded.dino.distil import distil, pairs
from vzlib.embedded.dino.features import Features
from vzlib.embedded.dino.labels import NAMES, label_heads
from vzlib.embedded.dino.language import Visits, language_loss
from vzlib.embedded.dino.lookup import residuals, with_lookups
from vzlib.embedded.dino.run import PICO, WINDOW, Run
from vzlib.embedded.dino.tower import GRID
from vzlib.embedded.pico.architecture import build_tokenizer
from vzlib.scenes import things
from vzlib.scenes.things import catalogue
from vzlib.training.loop import train

DISTILLED = {GRID: range(2_000_000, 2_000_096), WINDOW: range(256)}  # scenes by patches a side
ALIGNED = {
    "shapes-sheets": range(1024),
    "things-sheets": range(3072),
}
EACH = {
    "shapes": {
        "existence": 2, "attribute": 2, "counting": 4, "reading": 3, "relation": 4, "half": 1,
    },
    "things": {
        "existence": 4, "which": 3, "attribute": 2, "counting": 4, "reading": 3, "relation": 4,
        "detail": 1, "half": 2,
    },
}  # fmt: skip
# The deck of each step; the second one is harder. LOG_EVERY is no multiple of their number, so that
# the log tells of each.
TURNS = ("shapes", "things", "things")


def distilling(run: Run, steps: int) -> None:
    pico = LlavaForConditionalGeneration.from_pretrained(PICO, dtype=torch.float32)
    found = [
        pairs(pico, Features(run.tower, run.features, "shapes", grid=grid, seed=run.seed), numbers)
        for grid, numbers in DISTILLED.items()
    ]
    seen, tokens, weights = (torch.cat(parts) for parts in zip(*found, strict=True))
    run.projector.cpu()
    distil(run.projector, seen, tokens, weights, folder=run.folder, steps=steps)
    run.projector.to(run.device)


def aligning(run: Run, steps: int) -> None:
    run.load("distil")
    pico = LlavaForConditionalGeneration.from_pretrained(PICO, dtype=torch.float32)
    found = [
        known(pico, Features(run.tower, run.features, deck, grid=WINDOW, seed=run.seed), numbers)
        for deck, numbers in ALIGNED.items()
    ]
    seen, tokens, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    run.projector.cpu()
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()
    spoken = run.model.lm_head.weight.detach().cpu()[[vocabulary[name] for name in NAMES]]
    align(run.projector, seen, tokens, labels, spoken, folder=run.folder, steps=steps)
    run.projector.to(run.device)


def deck_of(step: int) -> tuple[str, int]:
    """The deck of a step, and how many steps were on it before."""
    place = step % len(TURNS)
    deck = TURNS[place]
    return deck, step // len(TURNS) * TURNS.count(deck) + TURNS[:place].count(deck)


def language(
    run: Run, name: str, *, grid: int, visits: Visits, count: int, steps: int, rate: float,
    decay: float,
) -> None:  # fmt: skip
    """Steps on `count` scenes of one deck or the other by `TURNS`."""
    features = {
        deck: Features(run.tower, run.features, deck, grid=grid, seed=run.seed, dtype=run.dtype)
        for deck in EACH
    }
    heads = label_heads(run.model.config.text_config.hidden_size).to(run.device)
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        deck, turn = deck_of(step)
        numbers, visit = visits.numbers(turn, count)
        value, right = language_loss(
            run.model, run.projector, vocabulary, features[deck], numbers, EACH[deck], visit, heads
        )
        return value, {f"{deck} {task}": share for task, share in right.items()}

    modules = run.trained | {"heads": heads}  # the heads are thrown away in the end
    train(modules, loss, name=name, folder=run.folder, steps=steps, rate=rate, warmup=100,
          decay=decay, dtype=run.dtype, save_every=40)  # fmt: skip


def looking_up(run: Run) -> None:
    """Gives the language model the layers that find what new words mean."""
    heads = run.state("align")["heads"]
    vocabulary = build_tokenizer(things.vocabulary()).get_vocab()
    known = set(build_tokenizer().get_vocab())
    names = {
        vocabulary[name]: F.normalize(direction, dim=0)
        for name, direction in zip(NAMES, heads["name.weight"], strict=True)
        if name not in known
    }
    groups = {
        vocabulary[word]: F.normalize(direction, dim=0)
        for group, direction in zip(catalogue.GROUPS, heads["group.weight"], strict=True)
        for word in (group, things.questions.plural(group))
    }
    features = Features(run.tower, run.features, "things", grid=WINDOW, seed=run.seed)
    left = residuals(run.model, run.projector, vocabulary, features, range(32), EACH["things"])
    run.take(with_lookups(run.model, *left, names, groups))


def on_windows(run: Run, steps: int) -> None:
    if not run.shipped:
        run.load("align")
        looking_up(run)
    language(run, "windows", grid=WINDOW, visits=Visits(512, 1, run.seed), count=8, steps=steps,
             rate=8e-4, decay=0)  # fmt: skip


def on_full_grid(run: Run, steps: int) -> None:
    if not run.shipped or (run.folder / "windows.pt").exists():
        run.load("windows")
    run.grow(LAYERS)
    # The tower takes most of the time of a new scene. A second visit costs none of it, and 1024
    # scenes later is too late for what was learnt by heart.
    language(run, "full", grid=GRID, visits=Visits(1024, 2, run.seed), count=4, steps=steps,
             rate=6e-4, decay=0.4)  # fmt: skip


STAGES: dict[str, tuple[Callable[[Run, int], None], int]] = {
    "distil": (distilling, 1000),
    "align": (aligning, 2500),
    "windows": (on_windows, 3000),
    "full": (on_full_grid, 4000),
}
