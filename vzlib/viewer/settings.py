"""What was shown, as the parameters of notebook 00."""

from pathlib import Path
from typing import Any

import yaml

from vzlib import notebooks
from vzlib.methods import registry
from vzlib.methods.visionzip import VisionZip
from vzlib.models.checkpoint import embedded, resolve
from vzlib.parameters import validate
from vzlib.paths import NOTEBOOKS
from vzlib.viewer.pictures import Picture

NOTEBOOK = "00_quickstart"
HOW = f"""\
# What vzlib view showed, for notebook 00. In the folder of the repository:
#   papermill notebooks/{NOTEBOOK}.ipynb quickstart.ipynb -f settings.yaml
"""


def parameters(
    picture: Picture, model: str, method: str, retain: int, question: str, answer: str
) -> dict[str, Any]:
    """The parameters of notebook 00 that show the same, as far as it can.

    model, method: as they were chosen. answer: with all tokens, where the truth is not known.
    Raises ValueError where the notebook does not allow what was shown.
    """
    checkpoint = resolve(model)
    folder = checkpoint.revision is None and model not in embedded()
    chosen = registry.method(method)
    values = {
        "model": checkpoint.source if folder else model,
        "retain": retain,
        "merge": chosen.merge if isinstance(chosen, VisionZip) else "code",
        **picture.setting,
    }
    if "photograph" in values:
        truth = dict(picture.asked).get(question) or answer
        values |= {"photograph_question": question, "photograph_answer": truth}
    own = notebooks.defaults(NOTEBOOKS / f"{NOTEBOOK}.ipynb")
    validate(notebooks.analysis(NOTEBOOK), own | values)
    return values


def written(picture: Picture, method: str, values: dict[str, Any]) -> str:
    """The YAML file that notebook 00 takes; values: of `parameters`."""
    said = [HOW]
    label = registry.label_of(method)
    if registry.row(method).where != registry.METHODS["visionzip"].where or "(" in method:
        said.append(f"# The page showed {label}, the notebook shows VisionZip with these tokens.\n")
    if Path(str(values.get("photograph", ""))).suffix:
        said.append(f"# The image is to lie there as {values['photograph']!r}: save it so.\n")
    if values.get("photograph_question") and not dict(picture.asked).get(
        values["photograph_question"]
    ):
        said.append("# The truth is not known: photograph_answer is the answer with all tokens.\n")
    return "".join(said) + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
