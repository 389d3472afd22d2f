"""The file that says what a job asks of a cluster is strict, and the shipped one is allowed."""

import pytest
from snakemake.resources import Resource

from vzlib.parameters import ParameterError
from vzlib.paths import REPOSITORY
from vzlib.runs.sweep import cluster


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "slurm.yaml"
        path.write_text(text)
        return cluster.read(path)

    return read


def test_the_shipped_file_becomes_options_of_snakemake():
    options = cluster.read(REPOSITORY / "workflow" / "slurm.yaml").options()
    text = " ".join(options)
    resources = "slurm_partition='gpu' gpu=1 cpus_per_task=8 mem_mb=32000 runtime=240"
    assert f"--executor slurm --jobs 50 --default-resources {resources} --" in text
    assert text.endswith("--slurm-status-command sacct --slurm-no-account")


def test_an_account_is_used_and_without_accounting_squeue_is_asked(read):
    text = " ".join(read("account: mine\naccounting: false\n").options())
    assert "slurm_account='mine'" in text
    assert "slurm_partition" not in text
    assert "gpu" not in text
    assert text.endswith("--slurm-status-command squeue")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("partitoin: gpu", "partitoin: unknown; did you mean partition"),
        ("gpu: -1", "gpu = -1: Input should be greater than or equal to 0"),
        ("memory: 4 GB", "memory = '4 GB'"),
        ("- 1", "allowed: name: value lines"),
        ("a: [", "slurm.yaml, line 1"),
    ],
)
def test_mistakes_are_named(read, text, problem):
    with pytest.raises(ParameterError, match=problem):
        read(text)


@pytest.mark.parametrize(
    "name",
    [
        "gpu-a100",
        "all",
        "max",
        "input",
        "1-2",
        "123e4",
        "None",
        "0123",
        "it's",
        "$HOME",
        "~",
        "a b",
    ],
)
def test_a_name_reaches_slurm_as_it_was_typed(name):
    options = cluster.Slurm(partition=name, account=name).options()
    for resource in ("slurm_partition", "slurm_account"):
        given = next(one for one in options if one.startswith(f"{resource}="))
        value = Resource.cli_evaluator(
            resource, given.partition("=")[2], wildcards={}, input=[], attempt=1, async_run=None
        )
        assert value == name


def test_a_name_that_looks_like_a_number_is_a_text_only_in_quotes(read):
    assert read('account: "0123"').account == "0123"
    assert read("partition: no").partition == "no"
