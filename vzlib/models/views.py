"""One budget for an image of which a tower sees several views, tiles or frames, or any size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from vzlib.methods.before import Before, Further
from vzlib.methods.visionzip import VisionZip
from vzlib.models.question import Frame, asked_here
from vzlib.models.reduction import tell
from vzlib.models.shape import Shape
from vzlib.tokens import BudgetError
from vzlib.tokens.evidence import Encoded, Reduced

Share = Literal["evenly", "attention", "released"]


class Seen(NamedTuple):
    """What a tower tells of the views of one image.

    encoded: of V views, `[V, S, ...]`. has_cls: whether token 0 of each is a CLS token.
    further: what the method needs besides, by the names of `Further`.
    """

    shape: Shape
    encoded: Encoded
    has_cls: bool
    further: Mapping[str, Tensor]


def seen_apart(
    shapes: Sequence[Shape], encoded: Encoded, has_cls: bool, further: Mapping[str, Tensor]
) -> list[Seen]:
    """Image by image what a tower tells of the views of all, one after the other."""
    counts = [shape.views for shape in shapes]
    parts = zip(*(part.split(counts) for part in encoded), strict=True)
    others = [
        {name: value.split(counts)[number] for name, value in further.items()}
        for number in range(len(counts))
    ]
    return [
        Seen(shape, Encoded(*part), has_cls, other)
        for shape, part, other in zip(shapes, parts, others, strict=True)
    ]


class Joined(NamedTuple):
    """The tokens of one image, view after view.

    reduced: of one image, `[1, ...]`; token t of view v counts as v S + t. views: [K], the view
    that each comes from. merged: [K] bool, what VisionZip merged, which stands apart from the rest.
    """

    reduced: Reduced
    views: Tensor
    merged: Tensor

    def ordered(self, order: Tensor) -> Reduced:
        """With its tokens in another order, `[K]`."""
        tokens, places, sources = self.reduced
        rank = order.argsort()
        moved = torch.where(sources < 0, sources, rank[sources.clamp(min=0)])
        return Reduced(tokens[:, order], places[:, order], moved)


@dataclass(frozen=True)
class Budgeted:
    """What an image costs, whatever its shape; goes with the processor, and knows no model.

    retain: tokens of an image in all; one that has no more anyway is left as it is.
    share: "evenly" gives each view as many as the others, the first ones one more where it does not
        come out even; "attention" as many as it has among the `retain` tokens of all views that
        receive most; "released" is the authors' way: `retain` is what the largest image costs, of
        `largest` views, and each view of any image has the same part of it.
    largest: views of the largest image, where there is one.
    """

    retain: int
    share: Share = "evenly"
    largest: int | None = None

    def whole(self, shape: Shape) -> bool:
        """Whether nothing is left out of an image."""
        return self.share != "released" and shape.stock <= self.retain

    def cost(self, shape: Shape) -> int:
        """Placeholders for an image."""
        return shape.stock if self.whole(shape) else sum(self.quotas(shape))

    def rows(self, shape: Shape) -> tuple[int, ...]:
        """The same in each row of placeholders that an image has."""
        if self.whole(shape):
            return shape.rows
        return self.quotas(shape) if shape.apart else (self.cost(shape),)

    def quotas(self, shape: Shape) -> tuple[int, ...]:
        """Tokens of each view; by attention they are these only in sum."""
        if self.share == "released":
            assert self.largest is not None
            return (self.retain // self.largest,) * shape.views
        each, more = divmod(min(self.retain, shape.views * shape.tokens), shape.views)
        return tuple(each + (view < more) for view in range(shape.views))


@dataclass(frozen=True)
class ByView:
    """A method before the language model, on one view at a time, within one budget an image."""

    method: Before
    budgeted: Budgeted
    seed: int
    frame: Frame | None = None

    def said(self, tokens: int) -> str:
        """Of so many tokens, how many each image has."""
        return f"at most {self.budgeted.retain} for each"

    def __call__(
        self,
        core: nn.Module,
        images: Sequence[Seen],
        order: Callable[[int, Joined], Tensor],
        kind: str = "image",
    ) -> list[Reduced | None]:
        """What is made of each image, or "video"; None for one that is left as it is.

        order: [K], in which the tokens of an image, given by its number, go on.
        Raises ValueError where the method needs a question and there is none, or tokens or scores
        are not finite, where looking costs no wait.
        """
        texts: list[dict[str, Tensor]] = [{} for _ in images]
        if "text" in self.method.needs:
            costs = [self.budgeted.cost(seen.shape) for seen in images]
            text, words = asked_here(core, self.frame, costs, kind)
            pairs = zip(text.split(1), words.split(1), strict=True)
            texts = [{"text": one, "words": which} for one, which in pairs]
        made: list[Reduced | None] = []
        for number, (seen, text_of) in enumerate(zip(images, texts, strict=True)):
            if self.budgeted.whole(seen.shape):
                made.append(None)
            else:
                joined = self._joined(seen, text_of)
                made.append(joined.ordered(order(number, joined)))
        kept = [each and each._replace(tokens=each.tokens.detach()) for each in made]
        scores = [seen.encoded.scores for seen in images]
        tell(core, scores, [each.tokens for each in made if each], made, kept)
        return made

    def leaves(self, core: nn.Module, shapes: Sequence[Shape]) -> bool:
        """Whether all these images are left as they are; told to those who listen."""
        if not all(map(self.budgeted.whole, shapes)):
            return False
        none: list[Reduced | None] = [None for _ in shapes]
        tell(core, [], [], none, none)
        return True

    def _joined(self, seen: Seen, text: Mapping[str, Tensor]) -> Joined:
        count = seen.encoded.hidden.shape[1]
        quotas = self._quotas(seen)
        parts: dict[int, tuple[Reduced, int]] = {}  # of a view, among views of the same quota
        for quota in sorted(set(quotas) - {0}):
            members = [view for view, each in enumerate(quotas) if each == quota]
            index = torch.tensor(members, device=seen.encoded.hidden.device)
            further: dict[str, Any] = {name: value[index] for name, value in seen.further.items()}
            for name, value in text.items():
                further[name] = value.expand(len(members), *value.shape[1:])
            reduced = self.method.reduce(
                Encoded(*(part[index] for part in seen.encoded)),
                quota,
                has_cls=seen.has_cls,
                seed=self.seed,
                further=Further(**further, grid=seen.shape.grid),
            )
            parts |= {view: (reduced, row) for row, view in enumerate(members)}
        tokens, places, sources, views, merged = [], [], [], [], []
        before = 0
        for view, quota in enumerate(quotas):
            if quota == 0:
                sources.append(torch.full((count,), -1, device=seen.encoded.hidden.device))
                continue
            reduced, row = parts[view]
            tokens.append(reduced.tokens[row])
            places.append(_shifted(reduced.places[row], view * count))
            sources.append(_shifted(reduced.sources[row], before))
            views += [view] * quota
            apart = self._merged(quota, seen.has_cls)
            merged += [False] * (quota - apart) + [True] * apart
            before += quota
        device = places[0].device
        return Joined(
            Reduced(*(torch.cat(part).unsqueeze(0) for part in (tokens, places, sources))),
            torch.tensor(views, device=device),
            torch.tensor(merged, device=device),
        )

    def _quotas(self, seen: Seen) -> Sequence[int]:
        quotas = self.budgeted.quotas(seen.shape)
        if self.budgeted.share != "attention":
            return quotas
        scores = seen.encoded.scores[:, int(seen.has_cls) :]
        best = scores.flatten().argsort(descending=True, stable=True)[: sum(quotas)]
        views = best.div(scores.shape[1], rounding_mode="floor")
        counted: list[int] = views.bincount(minlength=seen.shape.views).tolist()
        return counted

    def _merged(self, quota: int, has_cls: bool) -> int:
        if not isinstance(self.method, VisionZip):
            return 0
        return self.method.budget(quota, has_cls).contextual


def check_budget(retain: Any, share: object, largest: Shape | None) -> None:
    """Raise BudgetError unless this can be spent on an image of a family.

    largest: image there can be; None if there is no largest.
    Raises ValueError for a way to share that there is not, or that images of one view do not allow.
    """
    if share not in get_args(Share):
        raise ValueError(f"share={share!r} must be one of {', '.join(map(repr, get_args(Share)))}")
    if share == "released" and largest is None:
        raise ValueError(
            "share='released' is a number of tokens for each view, a part of what the largest "
            "image costs, and there is no largest in this family; use share='evenly'"
        )
    most = None if largest is None else largest.stock
    if largest is not None and share == "released":
        most = largest.views * largest.tokens
    whole = isinstance(retain, Integral) and not isinstance(retain, bool)
    if not whole or retain < 1 or (most is not None and retain > most):
        limit = "at least 1" if most is None else f"between 1 and {most}, the largest image's"
        raise BudgetError(f"retain={retain!r} must be an integer {limit}")
    if largest is not None and share == "released" and retain % largest.views:
        near = max(1, round(retain / largest.views)) * largest.views
        raise BudgetError(
            f"retain={retain} cannot be shared as released, the same for each of the "
            f"{largest.views} views of the largest image; the nearest that can is {near}"
        )


def _shifted(index: Tensor, by: int) -> Tensor:
    return torch.where(index < 0, index, index + by)
