"""A notebook runs twice in one kernel; only what its parameters cell set is a parameter."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from vzlib.notebooks import analysis, find
from vzlib.parameters import settings_class
from vzlib.runs.kernel import own_kernel

PARAMETERS = (
    'model = "pico"\nimages = "scenes"\nseed = 0\ncount = 2\nlengths = [2, 16]\nexponential = 0.05'
)
VALIDATE = (
    "from vzlib.parameters import validate\n"
    'settings = validate("softmax_gradient", globals())\n'
    "print(settings.count, settings.lengths)"
)
SCRATCH = "import os, json as j\nfor n, cuont in enumerate('ab'):\n    lenghts = [1]\nx = 3\nx\n"
LATER = "rows = [1]\nmodels = 'text'\nlength = 5\ndef exponentials(): pass\n_ = 2\nCount = {1}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function: runs cells in a kernel that has forgotten all; what each printed or its error."""
    place = {"metadata": {"path": str(tmp_path_factory.mktemp("kernel"))}}
    with own_kernel() as config:  # one for all tests, since most of the time goes into its start
        client = NotebookClient(
            new_notebook(), kernel_name="python3", config=config, resources=place, allow_errors=True
        )
        with client.setup_kernel():

            def cells(*sources):
                client.nb = new_notebook(cells=[*map(new_code_cell, ("%reset -f", *sources))])
                for number, cell in enumerate(client.nb.cells):
                    client.execute_cell(cell, number)
                return [
                    "".join(
                        output.get("text") or output.get("evalue") or output.data["text/plain"]
                        for output in cell.outputs
                    ).strip()
                    for cell in client.nb.cells[1:]
                ]

            yield cells


def test_a_second_run_takes_the_changed_value_and_nothing_else(run):
    changed = PARAMETERS.replace("count = 2", "count = 7")
    told = run(PARAMETERS, SCRATCH, VALIDATE, LATER, SCRATCH, VALIDATE, changed, VALIDATE, LATER,
               changed.replace("[2, 16]", "[3]"), SCRATCH, VALIDATE, VALIDATE)  # fmt: skip
    answers = [told[number] for number in (2, 5, 7, 11, 12)]
    assert answers == ["2 (2, 16)", "2 (2, 16)", "7 (2, 16)", "7 (3,)", "7 (3,)"]


def test_a_misspelt_line_is_refused_each_time_until_it_is_mended(run):
    wrong = f"{PARAMETERS}\nlenghts = [4]"
    renamed = PARAMETERS.replace("count", "cuont")
    told = run(PARAMETERS, VALIDATE, wrong, VALIDATE, VALIDATE, PARAMETERS, VALIDATE, renamed,
               VALIDATE, PARAMETERS, SCRATCH, VALIDATE)  # fmt: skip
    for number in (3, 4):
        assert "lenghts: unknown; did you mean lengths?" in told[number]
    assert "cuont: unknown; did you mean count?" in told[8]
    assert [told[number] for number in (1, 6, 11)] == ["2 (2, 16)"] * 3


def test_a_line_that_was_taken_away_is_missed(run):
    told = run(
        PARAMETERS, VALIDATE, PARAMETERS.replace("count = 2\n", "").replace("2, 16", "5"), VALIDATE
    )
    assert told[1] == "2 (2, 16)"
    assert "count: Field required" in told[3] and "lengths" not in told[3]


def test_what_papermill_puts_in_counts_and_what_it_put_in_before_does_not(run):
    first, second = "# Parameters\ncount = 9\ncuont = 1\n", "# Parameters\ncount = 8\n"
    told = run(PARAMETERS, first, VALIDATE, LATER, PARAMETERS, second, VALIDATE, PARAMETERS,
               VALIDATE, second, VALIDATE)  # fmt: skip
    assert "cuont: unknown; did you mean count?" in told[2]
    assert [told[number] for number in (6, 8, 10)] == ["8 (2, 16)", "2 (2, 16)", "8 (2, 16)"]
    every = "# Parameters\n" + PARAMETERS.replace("count = 2", "count = 6") + "\nmispelt = 3"
    assert "mispelt: unknown" in run(f"{PARAMETERS}\nunknown_too = 1", every, VALIDATE)[2]


def test_other_ways_to_run_it(run):
    merged = f"{PARAMETERS}\n{VALIDATE}\nafter = 1"
    assert run(merged, LATER, merged)[::2] == ["2 (2, 16)"] * 2
    assert "count: Field required" in run(VALIDATE)[0]
    assert run("%time x = 1\n" + PARAMETERS, "%reset -f", PARAMETERS, VALIDATE)[3] == "2 (2, 16)"
    assert "count: Field required" in run(LATER, PARAMETERS, "%reset -f", VALIDATE)[3]
    script = "%%writefile own.ipy\n" + PARAMETERS.replace("count", "cuont") + "\n" + VALIDATE
    assert "did you mean count?" in run(script, "%run own.ipy")[1]
    script = "%%writefile own.ipy\n" + PARAMETERS + "\n" + VALIDATE
    assert run(LATER, script, "%run -i own.ipy", "%run -i own.ipy")[2:] == ["2 (2, 16)"] * 2


@pytest.mark.parametrize("path", find(), ids=lambda path: path.stem)
def test_every_notebook_may_run_twice_with_a_changed_parameter(path, run):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    parameters, validation, *rest = (cell.source for cell in cells)
    changed = re.sub(r'^(\w*model) = "[\w-]+"', r'\1 = "another"', parameters, flags=re.MULTILINE)
    changed = changed.replace("before = 35", "before = 36")  # of the one that has no model
    bound = {
        node.id
        for source in rest
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert not bound & set(settings_class(analysis(path.stem)).model_fields)
    rest_without_the_work = "\n".join(f"{name} = [1]" for name in sorted(bound))
    told = run(parameters, validation, rest_without_the_work, SCRATCH, changed, validation)
    assert "problem" not in told[5]
    assert "'another'" in told[5] or "before=36" in told[5]
