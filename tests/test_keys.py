"""What an edit costs: which stored results a change of the real code makes the store forget.

Each row of EDITS changes one place in a copy of the package; the keys of exactly the named
measurements may change.
"""

import re
import shutil

import pytest

from vzlib.models import checkpoint
from vzlib.models.families import FAMILIES, modules_of
from vzlib.paths import REPOSITORY
from vzlib.results import sources

ANALYSES = REPOSITORY / "vzlib" / "experiments"
MEASUREMENTS = {
    f"{path.parent.name}.{path.stem}": f"vzlib.experiments.{path.parent.name}.{path.stem}"
    for path in sorted(ANALYSES.glob("*/measure*.py"))
}
TOWER = {  # whatever looks with a model's tower
    "quickstart.measure", "redundancy.measure", "attention_by_layer.measure",
    "softmax_gradient.measure", "feature_misalignment.measure",
    "feature_misalignment.measure_points", "feature_misalignment.measure_subjects",
    "concentration.measure",
}  # fmt: skip
ANSWERS = {
    "misalignment_ablation.measure", "misalignment_ablation.measure_permuted",
    "token_budget.measure", "token_budget.measure_speed", "dominant_contextual.measure",
    "quantisation.measure", "quantisation.measure_bytes", "quantisation.measure_speed",
    "many_turns.measure", "many_turns.measure_speed",
    "adaptive_budget.measure", "adaptive_budget.measure_images",
    "what_is_lost.measure", "concentration.measure_answers",
    "efficient_tuning.measure", "training_stage.measure",
}  # fmt: skip
TIMES = {"efficiency.measure"}
SCENES = {"what_is_lost.measure_things"}  # no model takes part
CLIPS = {"video.measure"}  # asks about clips, none of whose answers are scored by a file's rules
TINY = {"concentration.measure_encoders"}  # random weights and noise


def test_every_analysis_that_measures_is_known():
    assert set(MEASUREMENTS) == TOWER | ANSWERS | TIMES | SCENES | TINY | CLIPS


@pytest.fixture(scope="module")
def before():
    """The keys of all measurements, which do not depend on where the package is."""
    return {name: sources.of_module(module) for name, module in MEASUREMENTS.items()}


@pytest.fixture
def tree(tmp_path):
    """A copy of the package, and a function that tells the keys of its measurements."""
    shutil.copytree(
        REPOSITORY / "vzlib", tmp_path / "vzlib", ignore=shutil.ignore_patterns("__pycache__")
    )

    def keys() -> dict[str, str]:
        for cached in (sources._read, sources.of_module):
            cached.cache_clear()
        return {name: sources.of_module(module, tmp_path) for name, module in MEASUREMENTS.items()}

    yield tmp_path / "vzlib", keys
    for cached in (sources._read, sources.of_module):
        cached.cache_clear()


def changed(before, tree, file: str, pattern: str, instead: str) -> set[str]:
    folder, keys = tree
    path = folder / file
    text, count = re.subn(pattern, instead, path.read_text(encoding="utf-8"), count=1)
    assert count, f"{file} has no {pattern}"
    path.write_text(text, encoding="utf-8")
    after = keys()
    return {name for name in before if before[name] != after[name]}


# What is edited: file, what is replaced by what, and whose keys change.
EDITS = {
    "a help text": ("commands/runs.py", r'help="', r'help="Now: ', set()),
    "the command that asks": ("models/command.py", r'"', r'"now ', set()),
    "a label of a figure": ("experiments/attention_by_layer/draw.py", "layer read", "read", set()),
    "a sentence of a conclusion": (
        "experiments/softmax_gradient/tell.py", "The claim", "This claim", set(),
    ),
    "a default": ("experiments/redundancy/settings.py", r"ge=2", "ge=3", set()),
    "an error text of a tower": ("models/tower_parts.py", "is not a supported", "is no", set()),
    "an error text of loading": ("models/load.py", "cannot load", "could not load", set()),
    "the width of intervals": ("statistics/intervals.py", r"0\.975", "0.95", set()),
    "the correction of p": ("statistics/comparison.py", "holm", "sidak", set()),
    "a claim's threshold": ("experiments/redundancy/claims.py", r"50\.0", "60.0", set()),
    "the look of figures": ("plotting/style.py", r"BAND = 0\.18", "BAND = 0.3", set()),
    "how sweeps run": ("runs/sweep/progress.py", r"TICK = 0\.5", "TICK = 1.0", set()),
    "the rule of verdicts": ("statistics/verdict.py", "> threshold", ">= threshold", set()),
    "the store": ("results/entry.py", "indent=2", "indent=1", set()),
    "a method among many": ("methods/divprune.py", "1 - cosine", "1.0 - cosine", set()),
    "another method": (
        "methods/fastv.py", r"0\.5", "0.6",
        {"misalignment_ablation.measure", "misalignment_ablation.measure_permuted"} | TIMES,
    ),
    "the table of methods": ("methods/registry.py", '"DivPrune"', '"Div"', set()),
    "selection": (
        "tokens/selection.py", r"descending=True", "descending=False",
        ANSWERS | TIMES | CLIPS | TINY | {"quickstart.measure", "feature_misalignment.measure",
                           "feature_misalignment.measure_points",
                           "feature_misalignment.measure_subjects"},
    ),
    "a measure of concentration": (
        "tokens/concentration.py", r"\+ 1", "+ 2",
        {"attention_by_layer.measure"} | TINY
        | {"concentration.measure", "concentration.measure_answers"},
    ),
    "the version of scenes": (
        "scenes/scene.py", r"VERSION = 1", "VERSION = 2", TOWER | ANSWERS | SCENES | CLIPS,
    ),
    "the outlines of subjects": ("scenes/subjects.json", r"205", "206", set()),  # in the version
    "how a tower is read": (
        "models/towers.py", r"scale", "scaling", TOWER | ANSWERS | TIMES | TINY | CLIPS,
    ),
    "how answers are scored": (
        "evaluation/scoring.py", r"/ 3", "/ 4",
        ANSWERS | SCENES | {"quickstart.measure"},
    ),
    "a schedule inside the language model": (
        "methods/inside/schedule.py", r"dropped \* 0\.3", "dropped * 0.4",
        ANSWERS | TIMES | CLIPS | {"quickstart.measure", "concentration.measure"},
    ),
}  # fmt: skip


def test_the_code_of_a_family_counts_for_its_own_models(tree):
    folder, _ = tree
    names = {"pico": "llava", "dino": "llava", "LlavaNextForConditionalGeneration": "llava_next"}
    families = {name: checkpoint.keyed(name)["family"] for name in ("pico", "dino")}
    families["LlavaNextForConditionalGeneration"] = modules_of(list(names)[2:])
    assert families == {name: [f"vzlib.models.{family}"] for name, family in names.items()}

    def keys() -> dict[str, str]:
        sources._read.cache_clear(), sources.of_module.cache_clear()
        measurement = "vzlib.experiments.token_budget.measure"
        return {
            name: sources.of_module(measurement, folder.parent, frozenset(uses))
            for name, uses in families.items()
        }

    unedited = keys()
    for file, expected in (
        ("llava_next", {"LlavaNextForConditionalGeneration"}),
        ("smolvlm", set()),
        ("families", set()),
        ("llava", set(names)),  # NeXT builds on it
    ):
        path = folder / "models" / f"{file}.py"
        path.write_text(path.read_text(encoding="utf-8") + "\nedited = True\n", encoding="utf-8")
        edited = keys()
        assert {name for name in names if edited[name] != unedited[name]} == expected, file
        unedited = edited


def test_of_a_model_whose_family_is_not_known_all_count():
    assert modules_of(["SomethingElse"]) == [f"vzlib.models.{family}" for family in FAMILIES]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_keys_of_what_it_measures(before, tree, edit):
    file, pattern, instead, expected = EDITS[edit]
    assert changed(before, tree, file, pattern, instead) == expected
