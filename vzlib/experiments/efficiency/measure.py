"""Tables 4, 7 and 18, Fig. 1b-c: what the methods take in time, memory and FLOPs, part by part.

Weights are random, as time does not depend on them; accuracy is measured elsewhere. All variants,
of both models, take turns in one run, so that every ratio is of times from the same minutes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from vzlib import results
from vzlib.experiments.efficiency.settings import Efficiency
from vzlib.results import shipped

VANILLA = "vanilla"
INSIDE = ("fastv", "sparsevlm")  # prune inside the language model
VISUAL = 576  # patches of a view


class Arm(NamedTuple):
    """One variant of one model.

    budget: visual tokens asked for, per layer on average; `average` what it really spends, which
    differs where a schedule inside the language model cannot go so low. compiled: its prefill.
    """

    geometry: str
    method: str
    budget: int
    at_input: int
    average: float
    schedule: Any = None
    compiled: bool = False

    @property
    def look(self) -> str:
        """The method as figures and tables know it."""
        return f"{self.method}-compiled" if self.compiled else self.method

    @property
    def name(self) -> str:
        return f"{self.geometry} {self.look} {self.budget}"


def plan(settings: Efficiency) -> list[Arm]:
    """Every variant.

    A schedule that would serve for two budgets serves for the larger one only, and the usual way,
    whose tower does the same at every budget, is run at the smallest.
    Raises ValueError for budgets that the views of an image cannot share, naming them.
    """
    arms = _arms(settings.geometry, settings.methods, settings.budgets)
    if settings.larger is not None:
        zipped = [name for name in settings.methods if name == "visionzip"]
        arms += _arms(settings.larger, zipped, settings.budgets)
    if settings.compiled:
        arms += [
            arm._replace(compiled=True) for arm in arms if arm.method in (VANILLA, "visionzip")
        ]
    return arms


def _arms(geometry: str, methods: Any, budgets: tuple[int, ...]) -> list[Arm]:
    from vzlib.efficiency.geometry import LLAVAS, config
    from vzlib.efficiency.pipeline import schedule

    views = LLAVAS[geometry].views
    visual = views * VISUAL
    wrong = [str(one) for one in budgets if one % views or not 2 * views <= one < visual]
    if wrong:
        raise ValueError(
            f"budgets {', '.join(wrong)} of {geometry}: give multiples of {views} (its views) from "
            f"{2 * views} to {visual - views}"
        )
    layers = config(geometry).get_text_config().num_hidden_layers
    arms = [Arm(geometry, VANILLA, visual, visual, float(visual))]
    for name in dict.fromkeys(methods):
        taken = set()
        chosen = sorted(set(budgets), reverse=True)
        for budget in chosen[-1:] if name == "visionzip-usual" else chosen:
            if name not in INSIDE:
                arms.append(Arm(geometry, name, budget, budget, float(budget)))
                continue
            fitted = schedule(name, budget, layers, visual)
            if fitted.method not in taken:
                taken.add(fitted.method)
                arms.append(Arm(geometry, name, budget, visual, fitted.average, fitted.method))
    return arms


def device_of(settings: Efficiency) -> str:
    """The name of the device whose results are asked for: this machine's, or a stored one's."""
    from vzlib.efficiency.device import choose, describe

    if settings.device in ("auto", "cpu", "cuda"):
        return describe(choose(settings.device))
    return settings.device


def measure(settings: Efficiency) -> pd.DataFrame:
    """Seconds of every variant, round and stage, all from one run; stored for this device.

    Columns: device, geometry, method, budget, at_input, average, variant, round, stage, seconds,
    apart (was the device waited for after every stage, or at both ends of the whole only?).
    Raises ValueError as `plan` does, and for a device that is not there and has nothing stored.
    """
    return _stored("efficiency", _measure, settings, repetitions=settings.repetitions)


def costs(settings: Efficiency) -> pd.DataFrame:
    """FLOPs and memory of every variant, in passes of their own; stored for this device.

    Columns: device, geometry, method, budget, at_input, average, variant, schedule, text (tokens of
    the prompt), formula (FLOPs of the prefill by Sec. 2.1, a multiply and an add as two),
    flops_<stage> (counted by torch), memory (bytes at the peak, beyond the weights), weights
    (bytes). Raises ValueError as `measure` does.
    """
    return _stored("efficiency_costs", _costs, settings)


def _stored(experiment: str, function: Any, settings: Efficiency, **more: Any) -> pd.DataFrame:
    """Where nothing may be measured and this device has nothing stored, the device that ships."""
    plan(settings)
    chosen = settings.model_dump(exclude={"device", "repetitions", "limit"})
    names = {"model": settings.geometry, "questions": None}  # random weights, asked nothing

    def of(device: str) -> pd.DataFrame:
        point = {**chosen, "device": device, **more}
        return results.compute(experiment, point, partial(function, settings), about=names)

    try:
        return of(device_of(settings))
    except results.MissingResult:
        known = shipped.values(experiment, "device") if settings.device == "auto" else []
        if not known:
            raise
        return of(known[0])


def _measure(settings: Efficiency, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency import timing

    device, arms, _, variants = _prepared(settings, point["device"])
    chosen: Any = {"repetitions": settings.repetitions, "progress": "efficiency"}
    chosen["warm_up"] = 3 if settings.compiled else 2  # compile, record the graph, replay it
    whole = timing.measure(variants, device, **chosen)
    # On a CPU nothing runs behind the clock's back, so that the parts of a whole are its times.
    apart = whole
    if device.type == "cuda":
        apart = timing.measure(variants, device, apart=True, **chosen)
    found = pd.concat([whole.assign(apart=False), apart.assign(apart=True)])
    return _described(point["device"], arms).merge(found, on="variant")


def _costs(settings: Efficiency, point: Mapping[str, Any]) -> pd.DataFrame:
    from vzlib.efficiency import flops, memory
    from vzlib.efficiency.pipeline import STAGES
    from vzlib.methods.accountant import account

    device, arms, models, variants = _prepared(settings, point["device"])
    text, rows = settings.before + settings.after, []
    for arm in arms:
        counted = flops.count(variants[arm._replace(compiled=False).name])  # a graph hides them
        model = models[arm.geometry]
        cost = account(model, text=text, visual=arm.at_input, method=arm.schedule)
        rows.append(
            {
                "variant": arm.name,
                "schedule": "" if arm.schedule is None else str(arm.schedule),
                "text": text,
                "formula": 2.0 * cost.flops,
                **{f"flops_{stage}": float(counted.get(stage, 0)) for stage in STAGES},
                "memory": memory.peak(partial(_run, variants[arm.name]), device),
                "weights": memory.weights(model),
            }
        )
    return _described(point["device"], arms).merge(pd.DataFrame(rows), on="variant")


def _run(variant: Any) -> None:
    for _ in variant():
        pass


def _described(device: str, arms: list[Arm]) -> pd.DataFrame:
    rows = [
        (device, arm.geometry, arm.look, arm.budget, arm.at_input, arm.average, arm.name)
        for arm in arms
    ]
    columns = ["device", "geometry", "method", "budget", "at_input", "average", "variant"]
    return pd.DataFrame(rows, columns=columns)


def _prepared(settings: Efficiency, wanted: str) -> tuple[Any, list[Arm], Any, Any]:
    """The device, every variant, the models by name, and what runs each variant by name."""
    from vzlib.efficiency import geometry, pipeline
    from vzlib.efficiency.device import choose, describe, precision
    from vzlib.tokens import Budget

    here = {describe(device): device for device in (choose("cpu"), choose())}
    if wanted not in here:
        raise ValueError(f"no stored results of device {wanted!r}; here are {', '.join(here)}")
    device, arms = here[wanted], plan(settings)
    dtype = precision(settings.dtype, device)
    asked = settings.model_dump(include={"before", "after", "new_tokens"})
    models: dict[str, Any] = {}
    requests: dict[str, Any] = {}
    for name in dict.fromkeys(arm.geometry for arm in arms):
        models[name] = geometry.build(name, device, dtype)
        requests[name] = pipeline.request(models[name], geometry.LLAVAS[name].views, **asked)
    variants: dict[str, Any] = {}
    for arm in arms:
        model, request = models[arm.geometry], requests[arm.geometry]
        if arm.compiled:
            eager = variants[arm._replace(compiled=False).name]
            variants[arm.name] = pipeline.compiled(model, eager)
        elif arm.method == VANILLA:
            variants[arm.name] = pipeline.vanilla(model, request)
        elif arm.method in INSIDE:
            variants[arm.name] = pipeline.inside(model, request, arm.schedule)
        else:
            way = pipeline.visionzip if arm.method == "visionzip" else pipeline.visionzip_usual
            budget = Budget.retain(arm.budget // len(request.pixels))
            variants[arm.name] = way(model, request, budget)
    return device, arms, models, variants
