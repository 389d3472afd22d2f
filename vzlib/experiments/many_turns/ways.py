"""How a method spends a budget in a dialogue, and the tokens that it gives the language model."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vzlib.methods import registry

VANILLA = "vanilla"
NEAR = 0.05  # of a budget, by which a schedule may miss it


def spends(name: str, budget: float, shape: Any) -> float | None:
    """Visual tokens per layer that a method spends for a budget; None if it cannot come near it."""
    if registry.row(name).place == "before":
        return float(budget)
    average: float = _schedule(name, budget, shape).average
    return average if abs(average - budget) <= NEAR * budget else None


def misfits(names: Sequence[str], budgets: Sequence[int], shape: Any) -> Iterator[str]:
    """Why methods cannot spend budgets below the tokens that there are."""
    from vzlib.tokens import BudgetError

    for name in names:
        for budget in (one for one in budgets if one < shape.visual):
            try:
                if registry.row(name).place == "inside":
                    _schedule(name, budget, shape)
                else:
                    registry.method(name).check(budget, shape.visual)
            except BudgetError as error:
                yield f"method {name}: {error}"


def way_of(loaded: Any, point: Mapping[str, Any]) -> Any:
    """The `vzlib.evaluation.answering.Way` of a point of `measure.plan`."""
    from vzlib.evaluation.answering import Way
    from vzlib.methods.inside.schedule import Shape

    name, tokens = point["method"], point["tokens"]
    if registry.row(name).place == "before":
        return Way(name, registry.method(name), int(tokens))
    shape = Shape(_layers(loaded.model), loaded.patches)
    inside = _schedule(name, tokens, shape).method
    return Way(name, registry.method(VANILLA), loaded.patches, inside)


def tokens_of(
    loaded: Any, way: Any, images: Sequence[Any], seen: Any, seed: int
) -> tuple[Any, list[int]]:
    """Projected visual tokens `[R, K, D]`, and which row each dialogue of `images` is about.

    The dialogues are those of `dialogues.rotations`, image by image. A method before the language
    model that chooses by the question keeps what it chose for the first one of each.
    seen: of `vzlib.evaluation.needs.of_images`.
    """
    from vzlib.evaluation import needs

    encoded, further = seen
    rows = [row for row, one in enumerate(images) for _ in one.questions]
    if "text" in way.before.needs:
        _, encoded, further = needs.by_question(loaded, images, encoded, further)
        rows = list(range(len(rows)))
    reduced = way.before.reduce(
        encoded, way.retain, has_cls=loaded.has_cls, seed=seed, further=further
    )
    return loaded.model.model.multi_modal_projector(reduced.tokens), rows


def by_layer(model: Any, way: Any) -> tuple[int, ...]:
    """Visual tokens that enter each layer."""
    from vzlib.methods.inside.schedule import visual_by_layer

    layers = _layers(model)
    stages = () if way.inside is None else way.inside.stages(layers, way.retain)
    return visual_by_layer(stages, layers, way.retain)


def depth_of(model: Any, way: Any) -> int:
    """Layers that run on all of the image's tokens, whatever the first question is."""
    layers = _layers(model)
    stages = () if way.inside is None else way.inside.stages(layers, way.retain)
    return min((stage.layer for stage in stages), default=layers)


def _schedule(name: str, tokens: float, shape: Any) -> Any:
    """The schedule of a method inside the language model that is nearest to a layer average."""
    from vzlib.methods.inside.schedule import OutOfReach

    method: Any = registry.method(name, "inside")
    try:
        return method.for_average(tokens, *shape)
    except OutOfReach as error:
        return error.nearest


def _layers(model: Any) -> int:
    layers: int = model.config.get_text_config().num_hidden_layers
    return layers
