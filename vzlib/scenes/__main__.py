"""Prints how fast scenes are made and how balanced their answers are: `python -m vzlib.scenes`."""

import argparse
import time
from collections import Counter

from vzlib import scenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000, help="scenes to make")
    parser.add_argument("--split", choices=("train", "test"), default="test")
    arguments = parser.parse_args()
    scenes.make(0, arguments.split)  # reads the photographs, once a process
    answers: dict[str, Counter[str]] = {task: Counter() for task in scenes.TASKS}
    covered = 0.0
    start = time.perf_counter()
    for index in range(arguments.count):
        scene = scenes.make(index, arguments.split)
        for question in scenes.ask(scene):
            answers[question.task][question.answer] += 1
    rate = arguments.count / (time.perf_counter() - start)
    for index in range(200):
        covered += scenes.make(index, arguments.split).patches().mean() / 200
    print(f"{rate:.0f} scenes/s with their questions; objects touch {covered:.1%} of the patches")
    for task, counts in answers.items():
        answer, most = counts.most_common(1)[0]
        share = most / counts.total()
        print(f"{task:10} n={counts.total()}, commonest answer {answer!r} {share:.1%}")


if __name__ == "__main__":
    main()
