"""The runner executes notebooks in order, publishes whole files and reports what failed."""

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from pydantic import BaseModel

from tests.permissions import obeyed, read_only
from vzlib import notebooks
from vzlib.__main__ import main
from vzlib.paths import REPOSITORY
from vzlib.runs import kernel, reproduce


class Numbers(BaseModel, extra="forbid"):
    n: int = 1
    m: str = ""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Notebooks and parameters in a temporary folder; write(name, *cells) adds one."""
    for name in ("notebooks", "params"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(notebooks.find, "__defaults__", (None, tmp_path / "notebooks"))
    monkeypatch.setattr(notebooks.parameters, "__defaults__", (tmp_path / "params",))
    monkeypatch.setattr(reproduce, "settings_class", lambda name: Numbers)
    monkeypatch.setenv("VZLIB_RESULTS", str(tmp_path / "results"))

    def write(name, *sources):
        cells = [new_code_cell("n = 1\nm = ''", metadata={"tags": ["parameters"]})]
        cells += [new_code_cell(source) for source in sources]
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        folder = tmp_path / "params" / name
        folder.mkdir(exist_ok=True)
        (folder / "quick.yaml").write_text("n: 2\n")
        (folder / "default.yaml").write_text("")
        return path

    write.folder = tmp_path
    write.results = tmp_path / "results" / "notebooks"
    return write


def printed(path):
    cells = nbformat.read(path, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


def test_notebooks_run_in_number_order_with_the_parameters_of_the_scale(repository, capfd):
    repository("02_second", "import sys\nprint(n, sys.executable)")
    repository("01_first", "print(n)")
    assert main(["reproduce", "--scale", "quick"]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("[1/2] 01_first")
    assert lines[0].endswith(" s")
    assert lines[1].startswith("[2/2] 02_second")
    assert lines[2].startswith("2 of 2 notebooks in")
    assert (len(lines), err) == (3, "")
    assert printed(repository.results / "01_first.ipynb") == "2\n"
    assert printed(repository.results / "02_second.ipynb") == f"2 {sys.executable}\n"
    assert sorted(os.listdir(repository.results)) == ["01_first.ipynb", "02_second.ipynb"]
    assert sorted(os.listdir(repository.folder / "notebooks")) == [
        "01_first.ipynb",
        "02_second.ipynb",
    ]


def test_notebooks_run_at_once_when_asked_to(repository, capfd, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wait = """
import os, pathlib, time
here = pathlib.Path({folder!r})
(here / "{own}").touch()
end = time.time() + 60
while not (here / "{other}").exists() and time.time() < end:
    time.sleep(0.05)
assert (here / "{other}").exists()
print(os.environ["OMP_NUM_THREADS"])
"""
    folder = str(repository.results.parent)
    repository.results.parent.mkdir(parents=True, exist_ok=True)
    repository("01_first", wait.format(folder=folder, own="a", other="b"))
    repository("02_second", wait.format(folder=folder, own="b", other="a"))
    assert main(["reproduce", "--jobs", "2"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line[:11] for line in lines[:2]] == ["[1/2] 01_fi", "[2/2] 02_se"]
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    assert printed(repository.results / "02_second.ipynb") == f"{threads}\n"


def test_what_wants_the_machine_alone_or_reads_the_others_runs_when_they_have_ended(
    repository, monkeypatch, capfd
):
    events = []

    class Pool(ExitStack):
        """Starts all it is given at once, as a pool of processes does; they end one by one."""

        def __init__(self, jobs):
            super().__init__()

        def map(self, function, notebooks):
            events.extend(f"{path.stem} starts" for path in notebooks)
            return self.outcomes(notebooks)

        def outcomes(self, notebooks):
            for path in notebooks:
                events.append(f"{path.stem} ended")
                yield 0.0, None

    def alone(scale, typed, config, notebook):
        threads, wait = (os.environ.get(f"OMP_{name}") for name in ("NUM_THREADS", "WAIT_POLICY"))
        events.append(f"{notebook.stem} alone, {threads} threads, {wait} wait")
        return 0.0, None

    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(reproduce, "LAST", ("04_times", "01_reads"))
    monkeypatch.setattr(reproduce, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(reproduce, "_run", alone)
    for name in ("01_reads", "02_second", "03_third", "04_times"):
        repository(name)
    assert main(["reproduce", "--jobs", "2"]) == 0
    assert events == [
        *("02_second starts", "03_third starts", "02_second ended", "03_third ended"),
        "04_times alone, None threads, None wait",
        "01_reads alone, None threads, None wait",
    ]
    lines = capfd.readouterr().out.splitlines()
    assert [line[:8] for line in lines[:4]] == ["[1/4] 02", "[2/4] 03", "[3/4] 04", "[4/4] 01"]


def test_where_nothing_is_measured_a_kernel_stays_and_no_notebook_waits(
    repository, monkeypatch, capfd
):
    shown = (
        "import os, pathlib\nprint(n, 'left' in globals(), os.getpid(), pathlib.Path().resolve())"
    )
    monkeypatch.setattr(reproduce, "LAST", ("01_times", "03_reads"))
    for name in ("01_times", "02_second", "03_reads"):
        repository(name, shown, "left = n")
    repository("04_dies", shown, "os._exit(3)")
    repository("05_last", shown)
    assert main(["figures", "--scale", "quick", "--jobs", "1"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert [line[:8] for line in lines[:3]] == ["[1/5] 03", "[2/5] 01", "[3/5] 02"]
    files = repository.results.glob("0*.ipynb")
    n, left, kernels, places = zip(*(printed(one).split() for one in sorted(files)), strict=True)
    assert (set(n), set(left), set(places)) == (
        {"2"},
        {"False"},
        {f"{repository.folder}/notebooks"},
    )
    assert len(set(kernels[:4])) == 1 and kernels[4] != kernels[0]
    assert not any(Path(f"/proc/{kernel}").exists() for kernel in kernels)


def test_what_comes_last_exists_and_the_ledger_closes():
    assert {path.stem for path in notebooks.find()} >= set(reproduce.LAST)
    assert reproduce.LAST[-1] == "15_claims"


def test_a_failure_is_listed_and_stops_no_other_notebook(repository, capfd):
    repository("01_fails", "print('before')", "1 / 0", "print('after')")
    repository("02_dies", "import os", "os._exit(3)")
    repository("03_works", "print(n)")
    repository.results.mkdir(parents=True)
    (repository.results / "01_fails.ipynb").write_text("good, from an earlier run")
    assert main(["reproduce"]) == 1
    out, err = capfd.readouterr()
    assert [line.endswith("FAILED") for line in out.splitlines()] == [True, True, False, False]
    assert "1 of 3 notebooks" in out
    assert "failed: 01_fails, cell 3: ZeroDivisionError: division by zero" in err
    assert "failed: 02_dies, " in err
    assert printed(repository.results / "03_works.ipynb") == "1\n"
    assert (repository.results / "01_fails.ipynb").read_text() == "good, from an earlier run"
    assert "before" in printed(repository.results / "01_fails.failed.ipynb")


def test_the_record_of_a_failure_goes_when_the_notebook_works_again(repository):
    path = repository("01_first", "1 / 0")
    assert reproduce.run([path])
    assert (repository.results / "01_first.failed.ipynb").exists()
    repository("01_first", "print(n)")
    assert reproduce.run([path]) == []
    assert os.listdir(repository.results) == ["01_first.ipynb"]


def test_chosen_notebooks_and_overridden_parameters(repository, capfd):
    repository("01_first", "print(n)")
    repository("02_second", "print(n, m)")
    assert main(["reproduce", "02", "-p", "n", "5", "-p", "m", "no #1"]) == 0
    assert os.listdir(repository.results) == ["02_second.ipynb"]
    assert printed(repository.results / "02_second.ipynb") == "5 no #1\n"


def test_mistakes_in_the_command_are_explained(repository, capfd):
    repository("01_first")
    for arguments, said in (
        (["7"], "no notebook is called 7; available: 01_first\n"),
        ([""], "'' names no notebook; available: 01_first\n"),
        ([" "], "' ' names no notebook; available: 01_first\n"),
        ([".ipynb"], "'.ipynb' names no notebook; available: 01_first\n"),
        (["notebooks/"], "no notebook is called notebooks; available: 01_first\n"),
        (["-p", "o", "1"], "01_first: -p for Numbers:\n  o: unknown; Allowed: n, m.\n"),
        (["-p", "n", "1", "-p", "n", "2"], "01_first: -p for Numbers:\n  n stands twice: "),
        (["-p", "n", "1_0"], "1 problem with the parameters for Numbers:\n  n = '1_0': "),
        (["-p", "n"], "-p wants a name and a value\n"),
        (["--scale", "paper"], "paper.yaml is missing\n"),
        (["--scale", "full"], "full.yaml is missing\n"),
        (["--scale", "huge"], "'huge'"),
        (["--jobs", "0"], "--jobs"),
        (["--publish", "--scale", "quick"], "--publish writes figures/ at the default scale"),
    ):
        assert main(["reproduce", *arguments]) == 2
        told = capfd.readouterr()
        assert said in told.err and "Traceback" not in told.err and told.out == ""
    assert not repository.results.exists()


@pytest.mark.parametrize("own", [{}, {"VZLIB_FIGURES": "pictures", "VZLIB_SHIPPED": "1"}])
@pytest.mark.parametrize("end", ["good", "refused", "stopped"])
def test_a_command_leaves_the_environment_as_it_found_it(repository, monkeypatch, own, end):
    names = ("VZLIB_FIGURES", "VZLIB_SHIPPED", "VZLIB_STORE_ONLY", "VZLIB_USED")
    inside = []

    def run(*given):
        inside.append({name: os.environ.get(name) for name in names})
        if end == "stopped":
            raise KeyboardInterrupt
        return []

    repository("01_first")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(repository.folder)
    monkeypatch.setattr(reproduce, "FIGURES", repository.folder / "figures")
    monkeypatch.setattr(reproduce, "run", run)
    before = dict(os.environ)
    arguments = {"good": [], "refused": ["--scale", "paper"], "stopped": []}[end]
    for command in ("reproduce", "figures"):
        for publish in ([], ["--publish"]):
            main([command, "01", *arguments, *publish])
            assert dict(os.environ) == before
    if end == "refused":
        assert inside == []
        return
    place = own and str(repository.folder / "pictures")
    assert [one["VZLIB_STORE_ONLY"] for one in inside] == (
        [None, "1"] if own else [None, None, "1", "1"]
    )
    assert [one["VZLIB_SHIPPED"] for one in inside[:1] + inside[-1:]] == [
        "0",
        own.get("VZLIB_SHIPPED"),
    ]
    assert all(one["VZLIB_USED"] for one in inside)
    ours = str(repository.folder / "figures")
    expected = [place, place] if own else [None, ours, None, ours]
    assert [one["VZLIB_FIGURES"] for one in inside] == expected


def test_missing_and_malformed_parameter_files(repository, capfd):
    repository("01_first")
    with pytest.raises(ValueError, match=r"paper\.yaml is missing"):
        notebooks.parameters("01_first", "paper")
    (repository.folder / "params" / "01_first" / "quick.yaml").write_text("- 3\n")
    with pytest.raises(ValueError, match=r"quick\.yaml holds a list; allowed"):
        notebooks.parameters("01_first", "quick")


def test_the_kernel_is_this_interpreter_whatever_the_machine_has_registered(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager

    other = tmp_path / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(json.dumps({"argv": ["other"], "display_name": "Other"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    before = dict(os.environ)
    assert KernelSpecManager().get_kernel_spec("python3").argv == ["other"]
    with kernel.own_kernel():
        assert KernelSpecManager().get_kernel_spec("python3").argv[0] == sys.executable
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
        assert not list(Path(os.environ["IPYTHONDIR"]).glob("**/startup/*.py"))
    assert dict(os.environ) == before


@pytest.mark.parametrize("bad", ["long", "a:b", "gone"])
def test_notebooks_run_whatever_folder_is_for_temporary_files(repository, bad, monkeypatch):
    place = repository.folder / {"long": "x" * 100, "a:b": "a:b {x}"}.get(bad, bad)
    if bad != "gone":
        place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", None)  # asked for anew
    repository("01_first", "import vzlib\nprint(n, vzlib.__file__)")
    assert main(["reproduce", "--scale", "quick"]) == 0
    shown = printed(repository.results / "01_first.ipynb")
    assert shown == f"2 {REPOSITORY / 'vzlib/__init__.py'}\n"


def test_a_place_for_sockets_is_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel.os, "access", lambda place, mode: False)
    with (
        pytest.raises(ValueError, match=r"TMPDIR='.*' is no place for the sockets .* at most 77 l"),
        kernel.own_kernel(),
    ):
        pass


def test_a_relative_store_and_relative_figures_are_one_folder_each(repository, monkeypatch):
    asks = "from vzlib import results\nfrom vzlib.plotting.save import folder\n"
    repository("01_first", f"{asks}print(results.location(), folder())")
    monkeypatch.chdir(repository.folder)
    monkeypatch.setenv("VZLIB_RESULTS", "out")
    monkeypatch.setenv("VZLIB_FIGURES", "./pictures")
    assert main(["reproduce", "--scale", "quick"]) == 0
    shown = printed(Path("out/notebooks/01_first.ipynb"))
    assert shown == f"{repository.folder / 'out'} {repository.folder / 'pictures'}\n"
    left = sorted(path.name for path in repository.folder.iterdir())
    assert left == ["notebooks", "out", "params", "pictures"]
    assert [path.name for path in Path("notebooks").iterdir()] == ["01_first.ipynb"]


@pytest.mark.parametrize(
    ("variable", "what"),
    [("VZLIB_RESULTS", "the store"), ("VZLIB_FIGURES", "the folder of figures")],
)
def test_what_cannot_be_kept_is_not_measured(repository, variable, what, monkeypatch, capfd):
    repository("01_first", "print(n)")
    place = repository.folder / "shut"
    place.mkdir()
    monkeypatch.setenv(variable, str(place / "inside"))
    with read_only(place), obeyed():
        assert main(["reproduce", "--scale", "quick"]) == 2
    out, err = capfd.readouterr()
    assert err.startswith(f"{what} {place / 'inside'} cannot be written: Permission denied")
    assert (out, err.count("\n")) == ("", 1) and f"name another folder in ${variable}" in err
