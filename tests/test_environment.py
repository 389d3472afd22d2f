"""environment.yml, pyproject.toml and constraints.txt name the same packages."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement

from vzlib.paths import REPOSITORY

CONDA_NAMES = {
    "torch": "pytorch",
    "huggingface-hub": "huggingface_hub",
    "lazy-loader": "lazy_loader",
    "snakemake": "snakemake-minimal",  # the full one adds clusters and clouds
}
ONLY_CONDA = {"python", "pip"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def declared() -> dict[str, Requirement]:
    lines = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


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
