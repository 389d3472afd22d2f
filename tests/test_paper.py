"""The transcription of the paper is consistent, and the loader finds what is in it."""

import subprocess
import sys

import pytest

from vzlib import paper
from vzlib.paths import PAPER


def check(folder):
    command = [sys.executable, str(folder / "check_tables.py")]
    return subprocess.run(command, capture_output=True, text=True)


def test_tables_agree_with_themselves_and_with_the_text():
    done = check(PAPER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "866 rows, 1313 checked, 34 exceptions (34 known, 0 unexpected)" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "altered"),
    [
        ("table01_llava15_7b.csv", "GQA,61.9,100", "GQA,63.9,100"),
        ("table04_efficiency_llava_next_7b.csv", "27.8,7.8", "27.8,8.8"),
        ("headline_numbers.csv", "H15,Sec. 3.1", "H55,Sec. 3.1"),
    ],
)
def test_the_check_notices_an_altered_number(tmp_path, file, line, altered):
    for path in PAPER.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / file).read_text()
    assert line in text
    (tmp_path / file).write_text(text.replace(line, altered, 1))
    assert check(tmp_path).returncode == 1


def test_every_table_loads():
    for number in range(1, 19):
        assert (paper.table(number)["table"] == number).all()
    for number in (0, 19, "1"):
        with pytest.raises(ValueError, match=f"{number!r}.*allowed: 1 to 18"):
            paper.table(number)


def test_claims_have_an_id_and_a_place():
    claims = paper.claims()
    assert claims.index.is_unique
    assert claims.loc["C15", "paper_value"] == "94.0"
    assert (claims["where"] != "").all()


def test_score():
    assert paper.score("LLaVA-1.5-7B", "Vanilla", 576, "GQA") == 61.9
    assert paper.score("LLaVA-1.5-7B", "VisionZip", 64, "average") == 94.0
    assert paper.score("LLaVA-1.5-7B", "VisionZip", 64, "average", tuned=True) == 95.2


def test_score_says_what_there_is():
    with pytest.raises(ValueError, match=r"no model 'LLaVA-1\.5'; did you mean LLaVA-1\.5-"):
        paper.score("LLaVA-1.5", "VisionZip", 64, "GQA")
    with pytest.raises(
        ValueError, match=r"no retained_tokens 65; did you mean 64\? Allowed here: 192, 128, 64"
    ):
        paper.score("LLaVA-1.5-7B", "FastV", 65, "GQA")


def test_score_asks_where_tables_disagree():
    row = ("LLaVA-NeXT-7B", "VisionZip", 160, "average")
    with pytest.raises(ValueError, match=r"92\.0 in table 2, 91\.5 in table 12"):
        paper.score(*row)
    assert paper.score(*row, number=2) == 92.0


def test_contradictions_are_those_of_the_notes():
    notes = (PAPER / "NOTES.md").read_text(encoding="utf-8")
    section = notes.partition("## Contradictions")[2].partition("\n## ")[0]
    lines = [line.strip("|") for line in section.splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in lines]
    table = paper.contradictions()
    assert list(table.columns) == ["where", "one_value", "other_value"]
    assert list(table.itertuples(index=False, name=None)) == rows[2:]


def test_exceptions_are_those_that_the_check_knows():
    table = paper.exceptions()
    assert len(table) == 34 and table["check"].is_unique
    assert table["check"].str.match(r"[A-E] ").all()
