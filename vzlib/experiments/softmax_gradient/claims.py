"""Claim C06: does the softmax drive attention onto a few tokens? Put to notebook 03."""

from vzlib.claims.evidence import Evidence
from vzlib.claims.finding import Finding, decided
from vzlib.evaluation.pictures import label
from vzlib.experiments.softmax_gradient.tell import selecting, summary
from vzlib.statistics import verdict
from vzlib.statistics.intervals import Interval

NOTEBOOK = "03_softmax_gradient"
MOST = 50.0  # percent


def exponential_growth(evidence: Evidence) -> Finding:
    """The derivative is mathematics; that attention lies where it grows exponentially is not."""
    settings, table = evidence.settings(NOTEBOOK), summary(evidence.rows(NOTEBOOK))
    own = table[table["read"] & (table["queries"] == selecting(table))]
    row = own[own["quantity"] == "mass_exponential"].iloc[0]
    interval = Interval(*row[list(Interval._fields)].astype(float))
    unit = f"% of the attention is where s(1-s) grows exponentially, s <= {settings.exponential:g}"
    note = (
        "of the claim as it stands only this part can be true: s(1-s) stops growing at s = 1/2 and "
        "falls beyond; and it sets the size of a step, not its direction"
    )
    return decided(verdict.reaches, MOST, interval, unit=unit, n=int(row["n"]),
                   data=label(settings.images), note=note)  # fmt: skip


CLAIMS = {"C06": exponential_growth}
