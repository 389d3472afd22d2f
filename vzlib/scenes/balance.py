"""How fast scenes are made and how balanced their answers are."""

import time
from collections import Counter

from vzlib import scenes


def balance(count: int, split: scenes.Split) -> str:
    """Make `count` scenes with their questions; a line for the speed and one for each task."""
    scenes.make(0, split)  # reads the photographs, once a process
    answers: dict[str, Counter[str]] = {task: Counter() for task in scenes.TASKS}
    start = time.perf_counter()
    for index in range(count):
        for question in scenes.ask(scenes.make(index, split)):
            answers[question.task][question.answer] += 1
    rate = count / (time.perf_counter() - start)
    covered = sum(scenes.make(index, split).patches().mean() for index in range(200)) / 200
    lines = [f"{rate:.0f} scenes/s with their questions; {covered:.1%} of patches touch an object"]
    for task, counts in answers.items():
        answer, most = counts.most_common(1)[0]
        share = most / counts.total()
        lines.append(f"{task:10} n={counts.total()}, commonest answer {answer!r} {share:.1%}")
    return "\n".join(lines)
