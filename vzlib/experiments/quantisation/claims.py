"""Claim C41: does VisionZip stay as good at 8 and 4 bit? Put to notebook 11.

"Near" is what the paper's own numbers are: of the 94.7 % that VisionZip has of vanilla there, 4 bit
leaves 94.0, so at least 99.3 % of the unquantised accuracy.
"""

from vzlib import paper
from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided, not_measurable
from vzlib.experiments.quantisation import tell
from vzlib.experiments.quantisation.precisions import BITS
from vzlib.statistics import verdict
from vzlib.statistics.comparison import QUESTION
from vzlib.statistics.intervals import written

NOTEBOOK = "11_quantisation"
ZIPPED = "visionzip"
UNIT = "% of the accuracy of VisionZip before quantisation"


def stays_near(evidence: Evidence) -> Finding:
    """The lowest that VisionZip keeps at 8 and 4 bit of its accuracy at the first precision."""
    rows = evidence.rows(NOTEBOOK)
    own = rows[rows["method"] == ZIPPED]
    few = [one for one in own["precision"].unique() if BITS[str(one)] <= 8]
    if not few:
        return not_measurable("neither 8 nor 4 bit was measured with VisionZip")
    kept = {str(one): tell.kept(own, str(one), ZIPPED) for one in few}
    name = min(kept, key=lambda one: kept[one].value)
    told = "; ".join(f"{one} {written(interval)}" for one, interval in kept.items())
    return decided(
        verdict.reaches, least(), kept[name], unit=UNIT,
        n=len(own.drop_duplicates(QUESTION)), data="questions",
        note=f"{name}, the lowest of {told}",
    )  # fmt: skip


def least() -> float:
    """What 4 bit leaves in the paper of the unquantised average (Table 16), in percent."""
    rows = paper.table(16)
    average = rows[rows["benchmark"] == "average"].set_index("method")["percent_of_vanilla"]
    return round(100 * float(average["VisionZip-4bit"] / average["VisionZip"]), 1)


CLAIMS = {"C41": stays_near}
