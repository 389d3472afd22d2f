"""What was asked about: no model takes part."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from vzlib import results
from vzlib.evaluation import questions
from vzlib.experiments.what_is_lost.asked_things import Properties, properties
from vzlib.experiments.what_is_lost.settings import WhatIsLost


def measure(settings: WhatIsLost) -> pd.DataFrame:
    """The things that every question is about.

    Columns: task, image, question, and those of `asked_things.Properties`. Questions about nothing
    that is there ("no", "0") and about images of which no scene is known have no row.
    """
    return results.compute(
        "what_is_lost_things",
        {"each": settings.each},
        partial(_measure, settings.questions),
        data_version=questions.version(settings.questions),
        about={"questions": settings.questions},
    )


def _measure(source: str, point: Mapping[str, Any]) -> pd.DataFrame:
    rows = [
        (question.task, one.name, question.text, *properties(one.scene, question.objects))
        for one in questions.read(source, point["each"])
        for question in one.questions
        if one.scene is not None and question.objects
    ]
    return pd.DataFrame(rows, columns=["task", "image", "question", *Properties._fields])
