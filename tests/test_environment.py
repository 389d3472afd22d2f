"""environment.yml, pyproject.toml and constraints.txt name the same packages, those imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import yaml
from packaging.requirements import Requirement

import vzlib
from vzlib.paths import REPOSITORY

CONDA_NAMES = {
    "torch": "pytorch",
    "huggingface-hub": "huggingface_hub",
    "jupyter-client": "jupyter_client",
    "jupyter-core": "jupyter_core",
    "lazy-loader": "lazy_loader",
    "snakemake": "snakemake-minimal",  # the full one adds clusters and clouds
}
ONLY_CONDA = {"python", "pip"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


NOT_IMPORTED = {  # by vzlib, but by what it calls
    "accelerate": "transformers, to load weights straight to a device",
    "bitsandbytes": "transformers, to quantise weights",
    "ipykernel": "the kernel that a notebook is started in",
    "num2words": "transformers' processor of SmolVLM",
    "tabulate": "pandas, to write a table as Markdown",
}
NOT_REQUIRED = {  # by whoever installs vzlib alone
    "anywidget": "the extra lab",
    "gradio": "the extra viewer",
    "griffe": "comes with mkdocstrings",
    "griffelib": "the same, where it is installed",
    "datasets": "comes with lmms-eval",
    "lmms-eval": "the extra of this name",
    "onnx": "once, to train dino-llava",
    "pydantic-core": "comes with pydantic",
    "snakemake": "the extra sweep",
    "triton": "comes with torch, where there is a GPU",
}


def declared() -> dict[str, Requirement]:
    lines = [*PROJECT["dependencies"], *with_extras("test")]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def with_extras(extra: str) -> Iterator[str]:
    """The lines of an extra, and of those of vzlib that it names."""
    for line in PROJECT["optional-dependencies"][extra]:
        if Requirement(line).name == "vzlib":
            for other in sorted(Requirement(line).extras):
                yield from with_extras(other)
        else:
            yield line


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def conda() -> dict[str, Requirement]:
    lines = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_conda_and_pip_ask_for_the_same_versions():
    pip = {CONDA_NAMES.get(name, name): str(each.specifier) for name, each in declared().items()}
    other = {name: str(each.specifier) for name, each in conda().items() if name not in ONLY_CONDA}
    assert other == pip


def test_conda_and_pip_ask_for_the_same_python():
    assert str(conda()["python"].specifier) == PROJECT["requires-python"]


def test_constraints_satisfy_every_requirement():
    pinned = {name.lower().replace("_", "-"): version for name, version in pins().items()}
    for name, requirement in declared().items():
        assert requirement.specifier.contains(pinned[name]), name


def test_constraints_fit_any_machine():
    text = (REPOSITORY / "constraints.txt").read_text()
    assert "torch==2.13.0\n" in text
    assert not re.search(r"torchvision|nvidia|\+c[pu]|file:|@", text)


def imported() -> set[str]:
    """Packages of the index whose modules the code of vzlib names in an import, wherever."""
    names = set()
    for path in (REPOSITORY / "vzlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    known = packages_distributions()
    others = names - set(sys.stdlib_module_names) - {"vzlib"}
    return {plain(known[name][0] if name in known else name) for name in others}


def test_what_is_imported_is_required_and_nothing_else():
    required = {plain(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert imported() - set(NOT_REQUIRED) == required - set(NOT_IMPORTED)


def test_every_file_names_the_same_version():
    version = PROJECT["version"]
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == vzlib.__version__ == version
    assert f"\n## {version}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
