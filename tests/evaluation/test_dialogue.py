"""Dialogues answer as stock `generate` does turn by turn, and forget what they are told to."""

import pytest
import torch

import vzlib
from tests import tiny
from vzlib.evaluation.dialogue import converse, score
from vzlib.evaluation.judging import open_images
from vzlib.evaluation.questions import Question
from vzlib.methods.fastv import FastV
from vzlib.methods.inside.pruned_prefill import pruned_prefill
from vzlib.methods.inside.schedule import Shape
from vzlib.methods.sparsevlm import SparseVLM
from vzlib.models.answer import prompt

TALKS = [
    ["what is the colour ?", "how many ?", "is the shape left ?"],
    ["how many ?", "is the shape left or right ?", "what is the colour of the image ?"],
]
PRUNING = [
    FastV(removed=0.8),
    SparseVLM(written_for=Shape(3, 36), voting=(1,), keep=(9,)),
]
METHODS = [None, *PRUNING]
VISUAL, LAYERS = 36, 3
END = 12  # an ordinary word, which ends some answers and not others


@pytest.fixture(scope="module")
def llava():
    model, processor = tiny.llava(image_size=48)
    model.generation_config.eos_token_id = END
    with torch.no_grad():
        model.lm_head.weight[:5] = 0  # nothing special is said, the image least of all
        pixels = torch.cat([one(processor)["pixel_values"] for one in (first, second)])
        visual = torch.stack(list(model.get_image_features(pixels).pooler_output))
    return model, processor, open_images(model, processor, visual, depth=1)


def first(processor, text=TALKS[0][0], seed=0):
    return processor(images=tiny.image(seed), text=prompt(processor, text), return_tensors="pt")


def second(processor, text=TALKS[1][0]):
    return first(processor, text, seed=1)


def said(llava, rows, talks, method, **options):
    turns = converse(*llava, rows, talks, method, max_new_tokens=3, **options)
    return [turn.said for turn in turns]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_kept_history_is_what_generate_makes_of_it(llava, method):
    model, processor, _ = llava
    found = said(llava, [0, 1], TALKS, method, history="kept")
    options = {"max_new_tokens": 3, "do_sample": False, "return_dict_in_generate": True}
    zipped = None if method is None else vzlib.zip_model(model, processor, method=method)
    try:
        for row, (talk, inputs) in enumerate(zip(TALKS, (first, second), strict=True)):
            out = model.generate(**inputs(processor), **options)
            ends = inputs(processor)["input_ids"].shape[1]
            for turn, text in enumerate(talk):
                if turn:
                    more = processor(text=f"USER: {text} ASSISTANT:", return_tensors="pt")
                    ids = torch.cat([out.sequences, more["input_ids"][:, 1:]], dim=1)
                    ends = ids.shape[1]
                    out = model.generate(
                        input_ids=ids, past_key_values=out.past_key_values, **options
                    )
                words = processor.decode(out.sequences[0, ends:], skip_special_tokens=True)
                assert found[turn][row] == words.strip()
    finally:
        if zipped is not None:
            zipped.undo()


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("history", ["dropped", "kept"])
def test_dialogues_beside_each_other_are_as_alone(llava, method, history):
    together = said(llava, [0, 1], TALKS, method, history=history)
    apart = [said(llava, [row], [talk], method, history=history) for row, talk in enumerate(TALKS)]
    assert together == [(*one, *other) for one, other in zip(*apart, strict=True)]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_with_a_dropped_history_the_same_question_has_the_same_answer(llava, method):
    talk = ["how many ?"] * 3
    turns = said(llava, [1], [talk], method)
    assert len(set(turns)) == 1 and turns[0][0]
    if method is None:  # nothing was left out: each question is as if it were the first
        fresh = [said(llava, [1], [[text]], None)[0] for text in TALKS[1]]
        assert said(llava, [1], [TALKS[1]], None) == fresh


def test_a_later_question_sees_what_the_first_one_left(llava):
    """Against the stock layers, the dropped tokens masked in the last one."""
    model, processor, opening = llava
    language, method = model.model.language_model, PRUNING[0]
    differs = 0
    for one, other in ((TALKS[0][0], TALKS[1][1]), (TALKS[1][0], TALKS[0][0])):
        found = said(llava, [0], [[one, other]], method)[1]
        ids = first(processor, one)["input_ids"][0]
        start = ids.tolist().index(4) + VISUAL
        embed = model.get_input_embeddings()
        alone = opening._replace(
            hidden=tuple(part[:1] for part in opening.hidden),
            memory=tuple((keys[:1], values[:1]) for keys, values in opening.memory),
        )
        text = embed(ids[start:]).unsqueeze(0)
        kept = pruned_prefill(language, alone, text, method).places[-1][0] + opening.image
        hidden = torch.ones(start, dtype=torch.bool)
        hidden[kept] = False
        hidden[: opening.image] = False

        def masked(_, arguments, options, hidden=hidden):
            count = options["position_embeddings"][0].shape[1]
            mask = torch.ones(count, count, dtype=torch.bool).tril()
            mask[:, : len(hidden)] &= ~hidden
            mask |= torch.eye(count, dtype=torch.bool)
            return arguments, options | {"attention_mask": mask[None, None]}

        ids, words = first(processor, other)["input_ids"][0, start:], []
        handle = language.layers[LAYERS - 1].register_forward_pre_hook(masked, with_kwargs=True)
        try:
            with torch.no_grad():
                for _ in range(3):
                    text = embed(torch.cat([ids, torch.tensor(words, dtype=torch.long)]))
                    embeds = torch.cat([alone.hidden[0], text[None]], dim=1)
                    last = language(inputs_embeds=embeds, use_cache=False).last_hidden_state[:, -1]
                    words.append(int(model.lm_head(last).argmax()))
                    if words[-1] == END:
                        break
        finally:
            handle.remove()
        assert found[0] == processor.decode(words, skip_special_tokens=True).strip()
        differs += found != said(llava, [0], [[other]], method)[0]
    assert differs  # from what the question would have left for itself


def test_what_is_read_and_held_is_counted_layer_by_layer(llava):
    processor = llava[1]
    texts = [len(first(processor, text)["input_ids"][0]) - VISUAL for text in TALKS[0]]
    before = 2  # the start and USER:
    for history in ("dropped", "kept"):
        turns = list(converse(*llava, [0], [TALKS[0]], PRUNING[0], history=history))
        assert turns[0].read.tolist() == [[VISUAL + texts[0]] * 2 + [7 + texts[0]]]
        assert turns[0].held.tolist() == [[0] * LAYERS]
        if history == "dropped":
            assert turns[2].held.tolist() == [[VISUAL + before] * 2 + [7 + before]]
            assert turns[2].read.tolist() == [[texts[2] - before] * LAYERS]
        else:
            grown = (turns[2].held - turns[1].held - turns[1].read)[0].tolist()
            assert len(set(grown)) == 1 and 0 <= grown[0] < 16  # the answer, but for its last word


@pytest.mark.parametrize(
    ("rows", "talks"), [([0], TALKS), ([0, 1], [["how many ?"], TALKS[0]]), ([], []), ([0], [[]])]
)
def test_dialogues_that_do_not_fit_are_refused(llava, rows, talks):
    with pytest.raises(ValueError, match="give at least one, of as many turns each"):
        next(converse(*llava, rows, talks))


def test_answers_are_scored_by_the_rule_of_the_question():
    assert score(Question("t", "?", ("two red",)), "two red") == 1
    assert score(Question("t", "?", ("two red",)), "two red .") == 0
    file = Question("t", "?", ("yes", "yes", "no", "yes"), scoring="vqa")
    assert score(file, "Yes.") > score(file, "no") > 0
