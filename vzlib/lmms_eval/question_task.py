"""Questions of one's own as a task of lmms-eval: the file that $VZLIB_QUESTIONS names.

The format is that of `vzlib.evaluation.question_file`, and answers are scored as there, so that a
score is the one that vzlib's own evaluation gives. $VZLIB_EACH limits the questions of a task.
"""

import os
from collections.abc import Sequence
from typing import Any

from datasets import Dataset, DatasetDict
from lmms_eval.api.task import ConfigurableMessagesTask

from vzlib.evaluation.evaluate import ANSWER
from vzlib.evaluation.questions import check, read
from vzlib.evaluation.scoring import SCORES

EVERY = 1_000_000_000  # questions of a task


class QuestionFile(ConfigurableMessagesTask):
    """The task `vzlib_questions`; its metric is `score`, the mean over questions.

    Raises ValueError for a file that is missing or wrong, telling all that is.
    """

    def __init__(self, config: dict[str, Any] | None = None, model_name: str | None = None) -> None:
        own = {
            "task": "vzlib_questions",
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "question",
            "doc_to_target": "answers",
            "doc_to_messages": messages,
            "process_results": score,
            "generation_kwargs": {"max_new_tokens": ANSWER, "do_sample": False, "until": []},
            "metric_list": [{"metric": "score", "aggregation": "mean", "higher_is_better": True}],
        }
        super().__init__(config=own, model_name=model_name)

    def download(self, dataset_kwargs: dict[str, Any] | None = None) -> None:
        """Read the file; nothing is downloaded."""
        file = os.environ.get("VZLIB_QUESTIONS")
        if not file:
            raise ValueError(
                "$VZLIB_QUESTIONS names no file of questions (.jsonl or .parquet); its format is "
                "told by vzlib/evaluation/question_file.py"
            )
        each = os.environ.get("VZLIB_EACH", str(EVERY))
        if not each.isdecimal() or int(each) < 1:
            raise ValueError(f"$VZLIB_EACH = {each!r} must be a whole number from 1")
        check(file)
        rows = [
            {
                "id": question.id,
                "task": question.task,
                "image": str(one.image),
                "question": question.text,
                "answers": list(question.answers),
                "scoring": question.scoring,
            }
            for one in read(file, int(each))
            for question in one.questions
        ]
        self.dataset = DatasetDict(test=Dataset.from_list(rows))
        self.dataset_no_image = self.dataset  # an image is its file's name


def messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One question about one image, as a conversation."""
    content = [
        {"type": "image", "url": document["image"]},
        {"type": "text", "text": document["question"]},
    ]
    return [{"role": "user", "content": content}]


def score(document: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """How right an answer is, 0 to 1, by the rule of its question."""
    return {"score": SCORES[document["scoring"]](results[0].strip(), document["answers"])}
