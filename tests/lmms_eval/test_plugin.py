"""The plug-in under the real lmms-eval: `make test-lmms-eval` has an environment for it."""

import json
import time
from pathlib import Path

import pytest

import vzlib
from tests import tiny
from vzlib.evaluation.evaluate import Way, evaluate
from vzlib.evaluation.questions import of_scenes, read
from vzlib.methods.inside.schedule import Inside
from vzlib.methods.vanilla import Vanilla
from vzlib.models.load import load

lmms_eval = pytest.importorskip("lmms_eval", reason="make test-lmms-eval")
TASKS = str(Path(__file__).parents[2] / "vzlib" / "lmms_eval" / "tasks")


def run(monkeypatch, file: Path, batch: int, **arguments):
    """What lmms-eval's own evaluation returns for a file of questions."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    monkeypatch.setenv("VZLIB_QUESTIONS", str(file))
    typed = ",".join(f"{name}={value}" for name, value in arguments.items())
    return simple_evaluate(
        model="vzlib",
        model_args=typed,
        tasks=["vzlib_questions"],
        task_manager=TaskManager(include_path=TASKS, include_defaults=False),
        batch_size=batch,
        log_samples=True,
        bootstrap_iters=0,
    )


def ours(pretrained: str, file: Path, method: str, retain: int):
    """Rows of our own evaluation of the same questions."""
    loaded = load(pretrained)
    with vzlib.zip_model(loaded.model, loaded.processor, retain=retain, method=method) as zipped:
        chosen = zipped.method
    if isinstance(chosen, Inside):
        way = Way("one", Vanilla(), loaded.patches, chosen)
    else:
        way = Way("one", chosen, retain)
    return evaluate(loaded, [way], read(str(file), 10**9), progress=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    model, processor = tiny.llava(image_size=48)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def file(checkpoint) -> Path:
    """Six questions about three images, some of which this model answers "right"."""
    texts = ("what is the colour of the shape ?", "how many ?")
    for number in range(3):
        tiny.image(number).save(checkpoint / f"{number}.png")
    rows = [
        {"image": f"{number}.png", "question": text, "answer": "red"}
        for number in range(3)
        for text in texts
    ]
    path = checkpoint / "questions.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    said = ours(str(checkpoint), path, "visionzip", 9)["said"]
    for row, answer in list(zip(rows, said, strict=True))[::2]:
        row["answer"] = answer
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("method", "retain"), [("visionzip", 9), ("pooling", 9), ("fastv", 29)])
@pytest.mark.parametrize("batch", [1, 4])
def test_answers_scores_and_tokens_are_ours(monkeypatch, checkpoint, file, method, retain, batch):
    found = run(monkeypatch, file, batch, pretrained=checkpoint, method=method, retain=retain)
    rows = ours(str(checkpoint), file, method, retain)
    samples = found["samples"]["vzlib_questions"]
    assert [one["filtered_resps"][0] for one in samples] == rows["said"].tolist()
    assert [one["score"] for one in samples] == rows["score"].tolist()
    assert found["results"]["vzlib_questions"]["score,none"] == rows["score"].mean()
    assert method != "visionzip" or rows["score"].mean() >= 0.5
    assert found["throughput"]["avg_visual_tokens"] == pytest.approx(retain)
    assert found["throughput"]["avg_visual_tokens"] == pytest.approx(rows["average"].mean())
    lengths = [one["token_counts"][0]["input_tokens"] for one in samples]
    assert len(set(lengths)) == 2  # padding is not counted
    assert min(lengths) - rows["at_input"].iloc[0] == 6  # <s> USER: how many ? ASSISTANT:


def test_what_is_wrong_is_told_before_anything_is_asked(monkeypatch, checkpoint, file, tmp_path):
    with pytest.raises(ValueError, match="batch_size='auto' must be a whole number"):
        run(monkeypatch, file, "auto", pretrained="no/such/model")
    with pytest.raises(ValueError, match="there is no file of questions"):
        run(monkeypatch, tmp_path / "none.jsonl", 1, pretrained=checkpoint)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="runs in one process"):
        run(monkeypatch, file, 1, pretrained="no/such/model")


def test_of_other_kinds_of_requests_it_says_what_it_takes(checkpoint):
    from vzlib.lmms_eval.chat import ZippedChat

    model = ZippedChat(str(checkpoint))
    with pytest.raises(NotImplementedError, match="that generate"):
        model.loglikelihood([])
    with pytest.raises(NotImplementedError, match="of one round"):
        model.generate_until_multi_round([])


@pytest.mark.slow
def test_two_hundred_questions_score_the_same_in_batches_which_are_faster(monkeypatch, tmp_path):
    from PIL import Image

    rows = []
    for one in of_scenes(40):
        Image.fromarray(one.image).save(tmp_path / f"{one.name}.png")
        rows += [
            {"image": f"{one.name}.png", "question": q.text, "answer": q.answers[0], "task": q.task}
            for q in one.questions
        ]
    file = tmp_path / "scenes.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    expected = ours("dino", file, "visionzip", 64)
    assert len(expected) == 200
    seconds = {}
    for batch in (4, 1):
        begun = time.process_time()  # of the processor: others may be at work here
        found = run(monkeypatch, file, batch, pretrained="dino", method="visionzip", retain=64)
        seconds[batch] = time.process_time() - begun
        samples = found["samples"]["vzlib_questions"]
        assert [one["score"] for one in samples] == expected["score"].tolist()
        assert found["results"]["vzlib_questions"]["score,none"] == expected["score"].mean()
        assert found["throughput"]["avg_visual_tokens"] == 64
    print(f"200 questions: {seconds[4]:.0f} s in batches of 4, {seconds[1]:.0f} s one by one")
    assert seconds[4] < 0.8 * seconds[1]  # 40 images: the tower sees each of a batch once
