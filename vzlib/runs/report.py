"""One offline page with all that was measured: `vzlib report` writes results/report.html.

Figures, tables, settings, the store and the environment, in a file that needs nothing else.
"""

import base64
import io
import sys
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from nbconvert.filters import markdown2html
from PIL import Image

from vzlib import notebooks, results
from vzlib.plotting.save import folder
from vzlib.results import durable, provenance
from vzlib.runs import figures

TEMPLATE = Path(__file__).with_name("report.html.jinja")
PIXELS = 1400  # width at which a figure still is sharp on a page


def page(place: Path) -> str:
    """The report of the figures and tables in a folder, as HTML."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    found: dict[str | None, list[dict[str, Any]]] = {}
    for one in figures.drawn(place):
        found.setdefault(one.notebook, []).append(_content(place, one))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        notebooks={notebooks.title(name) if name else "": own for name, own in found.items()},
        store=_html(stored()),
        environment=_html(environment_of_now()),
    )


def stored() -> pd.DataFrame:
    """What the store holds, an experiment a row: what it took, where and when it was measured.

    Columns: experiment, points, hours (of computing, in sum), peak memory (MiB, the largest),
    processor, accelerator, commits, days.
    """
    columns = ["experiment", "seconds", "peak_process_memory_mib", "processor", "accelerator",
               "commit", "dirty", "finished_utc"]  # fmt: skip
    rows = [results.provenance_of(path) for path in results.entries()]
    table = pd.DataFrame(rows, columns=columns)
    changed = table["dirty"].map({True: " and changes"}).fillna("")
    table["commit"] = table["commit"].str[:10] + changed
    table["finished_utc"] = table["finished_utc"].str[:10]
    found = table.groupby("experiment").agg(
        points=("experiment", "size"),
        hours=("seconds", lambda seconds: round(seconds.sum() / 3600, 3)),
        peak_memory_mib=("peak_process_memory_mib", "max"),
        processor=("processor", _each),
        accelerator=("accelerator", _each),
        commits=("commit", _each),
        days=("finished_utc", _each),
    )
    return found.reset_index()


def environment_of_now() -> pd.DataFrame:
    """Packages and machine of the process that writes the report."""
    record = provenance.record()()
    flat = {**record.pop("packages"), **record}
    named = {
        name: value
        for name, value in flat.items()
        if name not in ("seconds", "finished_utc", "peak_process_memory_mib")
    }
    return pd.DataFrame(
        {"what": list(named), "version or name": [str(value) for value in named.values()]}
    )


def _each(values: pd.Series) -> str:
    return ", ".join(sorted(set(values.dropna().astype(str))))


def _content(place: Path, one: figures.Drawn) -> dict[str, Any]:
    command = notebooks.command(one.notebook, one.settings) if one.notebook else ""
    content = {
        "name": one.name,
        "command": command,
        "settings": one.settings,
        "picture": "",
        "table": "",
    }
    if one.caption:
        content["table"] = markdown2html((place / f"{one.name}.md").read_text(encoding="utf-8"))
    else:
        content["picture"] = _picture(place / f"{one.name}.png")
    return content


def _picture(path: Path) -> str:
    """The figure as text, no wider than `PIXELS`."""
    content = io.BytesIO()
    with Image.open(path) as image:
        height = round(image.height * min(1, PIXELS / image.width))
        image.convert("RGB").resize((min(PIXELS, image.width), height)).save(
            content, "WEBP", quality=90
        )
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()


def _html(table: pd.DataFrame) -> str:
    return table.to_html(index=False, border=0)


def write(target: Path | None = None) -> int:
    """Write the report, by default into the store; 1 when there is nothing to report, else 0."""
    target = target or results.location() / "report.html"
    if not figures.drawn(folder()):
        print(f"no figures in {folder()}; make reproduce draws them", file=sys.stderr)
        return 1
    text = page(folder())
    durable.write_whole(target, text)
    print(f"{target}, {len(text.encode()) / 2**20:.1f} MiB")
    return 0
