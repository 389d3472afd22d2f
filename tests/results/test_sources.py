"""The fingerprint of an experiment's code changes when, and only when, that code changes."""

import functools
import subprocess
import sys
import types

import pytest

from vzlib.results import sources

MODULES = {
    "__init__.py": "import lazy_loader\n__getattr__, __all__ = lazy_loader.attach_stub('a', 'b')\n",
    "__init__.pyi": "from .models.zip import zip_model as zip_model\n",
    "plotting/__init__.py": "colour = 1\n",
    "results/__init__.py": "from vzlib import unrelated\n",
    "statistics/intervals.py": "resamples = 1000\n",
    "unrelated.py": "x = 1\n",
    "tokens/__init__.py": "from vzlib.tokens.merging import merge\n"
    "from vzlib.tokens.budget import size\n",
    "tokens/merging.py": (
        '"""Merge."""\n\ndef merge(a):\n    """Doc."""\n    if not a:\n'
        '        raise ValueError(f"{a} is nothing", 1)\n    return a + 1\n'
    ),
    "tokens/budget.py": "size = 64\n",
    "models/__init__.py": "",
    "models/zip.py": "from ..tokens import merge\n",
    "models/video.py": "frames = 8\n",
    "methods/one.py": "share = 0.5\n",
    "experiments/__init__.py": "",
    "experiments/layers/__init__.py": "",
    "experiments/layers/settings.py": "default = 3\n",
    "experiments/layers/tell.py": "label = 'read'\n",
    "experiments/layers/measure.py": (
        "import numpy\n"
        "from vzlib import plotting, results\n"
        "from vzlib.experiments.layers import tell\n"
        "from vzlib.experiments.layers.settings import default\n"
        "from vzlib.statistics import intervals\n"
        "METHODS = {'one': 'vzlib.methods.one:One'}\n"
        "def run(settings):\n"
        "    from ...models import zip\n"
        "    return zip\n"
    ),
}


@pytest.fixture
def root(tmp_path):
    for name, text in MODULES.items():
        path = tmp_path / "vzlib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(settings):
    """Stands for vzlib.experiments.layers.measure.run."""


run.__module__ = "vzlib.experiments.layers.measure"


def fingerprint(root, function=run, **more):
    sources._read.cache_clear()
    sources.of_module.cache_clear()
    return sources.fingerprint(function, root, **more)


def test_reachable_follows_every_kind_of_import(root):
    assert set(sources.reachable(["vzlib.experiments.layers.measure"], root)) == {
        "vzlib.experiments.layers.measure",
        "vzlib.models.zip",
        "vzlib.tokens.merging",
    }


def test_reachable_follows_names_that_a_package_hands_on(root):
    measure = root / "vzlib/experiments/layers/measure.py"
    measure.write_text("from vzlib import zip_model\n")
    reached = sources.reachable(["vzlib.experiments.layers.measure"], root)
    assert {"vzlib.models.zip", "vzlib.tokens.merging"} <= set(reached)
    assert "vzlib.tokens.budget" not in reached  # handed on beside it, and not used


def test_a_package_that_is_imported_itself_counts_with_all_that_it_hands_on(root):
    measure = root / "vzlib/experiments/layers/measure.py"
    for text in ("from vzlib import tokens\n", "import vzlib.tokens\n", "from ... import tokens\n"):
        measure.write_text(text)
        sources._read.cache_clear()
        reached = sources.reachable(["vzlib.experiments.layers.measure"], root)
        assert {"vzlib.tokens.merging", "vzlib.tokens.budget"} <= set(reached)


def test_a_package_that_does_something_counts_with_all_that_it_imports(root):
    with (root / "vzlib/tokens/__init__.py").open("a") as file:
        file.write("size += 1\n")
    reached = sources.reachable(["vzlib.experiments.layers.measure"], root)
    assert {"vzlib.tokens", "vzlib.tokens.budget"} <= set(reached)


@pytest.mark.parametrize(
    "name", ["experiments/layers/measure.py", "tokens/merging.py", "models/zip.py"]
)
def test_code_that_is_used_counts(root, name):
    before = fingerprint(root)
    with (root / "vzlib" / name).open("a") as file:
        file.write("changed = True\n")
    assert fingerprint(root) != before


@pytest.mark.parametrize(
    "name",
    [
        "plotting/__init__.py",
        "results/__init__.py",
        "statistics/intervals.py",
        "unrelated.py",
        "experiments/layers/settings.py",
        "experiments/layers/tell.py",
        "models/video.py",
        "methods/one.py",
        "tokens/budget.py",
    ],
)
def test_code_that_is_not_used_or_does_not_measure_does_not_count(root, name):
    before = fingerprint(root)
    with (root / "vzlib" / name).open("a") as file:
        file.write("changed = True\n")
    assert fingerprint(root) == before


def test_what_a_point_uses_counts_for_that_point(root):
    uses = {"uses": ["vzlib.methods.one"]}
    before = fingerprint(root), fingerprint(root, **uses)
    assert before[0] != before[1]
    (root / "vzlib/methods/one.py").write_text("share = 0.75\n")
    assert fingerprint(root) == before[0]
    assert fingerprint(root, **uses) != before[1]


def test_the_text_of_an_error_does_not_count_and_what_else_it_carries_does(root):
    before, path = fingerprint(root), root / "vzlib/tokens/merging.py"
    text = path.read_text()
    path.write_text(text.replace('f"{a} is nothing"', '"nothing to merge"'))
    assert fingerprint(root) == before
    path.write_text(text.replace('nothing", 1)', 'nothing", 2)'))
    assert fingerprint(root) != before


def test_comments_docstrings_and_layout_do_not_count(root):
    before = fingerprint(root)
    (root / "vzlib/tokens/merging.py").write_text(
        '"""Other words."""\n# why\ndef merge( a ):\n    """Longer."""\n    if not a:\n'
        '        raise ValueError("", 1)\n    return (a +\n  1)\n'
    )
    assert fingerprint(root) == before


def test_a_partial_and_a_lambda_count_with_the_modules_they_name(root):
    assert fingerprint(root, functools.partial(run, 1)) == fingerprint(root)
    layers = types.ModuleType("vzlib.experiments.layers.measure")

    def in_a_notebook(settings):
        return [layers.run(settings) for _ in range(2)]

    before = fingerprint(root, in_a_notebook)
    (root / "vzlib/unrelated.py").write_text("x = 2\n")
    assert fingerprint(root, in_a_notebook) == before
    (root / "vzlib/tokens/merging.py").write_text("def merge(a): return a + 2\n")
    assert fingerprint(root, in_a_notebook) != before


def test_source_that_cannot_be_read_is_an_error(root):
    with pytest.raises(ValueError, match="define it in a module of vzlib"):
        fingerprint(root, len)


def test_no_torch_is_imported_to_fingerprint_the_real_code():
    code = (
        "import sys; from vzlib.results import sources\n"
        "found = sources.reachable(['vzlib.models.zip'])\n"
        "assert 'vzlib.tokens.merging' in found, found\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
