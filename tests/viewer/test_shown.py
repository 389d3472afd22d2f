"""From an image and a question to all that is shown, on a tiny model."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vzlib.models.answer import answer
from vzlib.models.images import open_image
from vzlib.viewer import shown, words
from vzlib.viewer.asking import ask, methods
from vzlib.viewer.models import borrowed
from vzlib.viewer.pictures import Picture, example
from vzlib.viewer.shown import by_hand, patch_at, show, toggled

QUESTION = "what is left in image ?"


@pytest.fixture(scope="module")
def model(tiny_folder):
    return tiny_folder()


@pytest.fixture(scope="module")
def seen(model):
    return show(model, example("rocket"), QUESTION, ["visionzip", "divprune"], 20)


def test_answers_with_all_and_with_few_tokens_and_where_time_goes(seen):
    every, zipped, pruned = seen.answers
    assert [each.tokens for each in seen.answers] == [36, 20, 20]
    assert every.fates is None and zipped.way == "VisionZip (code)" and pruned.way == "DivPrune"
    assert zipped.split == "CLS, 16 patches as they are, 3 merged from 20"
    assert pruned.split == "20 patches as they are, 16 left out"
    assert int(pruned.fates.stays.sum()) == 20 and seen.grid == 6
    assert seen.received.shape == (4, 6, 6) and seen.block == 3


def test_the_answers_are_those_of_the_model_itself(model, seen):
    with borrowed(model) as stock:
        image = Image.fromarray(seen.picture.image)
        said = answer(stock.model, stock.processor, image, QUESTION, max_new_tokens=16)
    assert seen.answers[0].text == said


def test_attention_is_looked_at_once_for_an_image_and_a_model(model, seen, monkeypatch):
    monkeypatch.delattr(shown, "received")
    again = show(model, seen.picture, "how many ?", ["uniform"], 9, seen)
    assert again.received is seen.received
    with pytest.raises(NameError):
        show(model, example("rocket"), QUESTION, ["uniform"], 9, seen)


@pytest.mark.parametrize("name", methods().values())
def test_every_method_is_shown_or_refused_in_one_sentence(model, name):
    try:
        answered = show(model, example("rocket"), QUESTION, [name], 30).answers[1]
    except ValueError as error:
        assert name == "pyramiddrop" or name.startswith("sparsevlm")  # too few layers for these
        assert str(error) == "3 stages need at least 4 layers, not 3"
        return
    fates = answered.fates
    assert len(fates.token) == 36 and fates.layers.max() == 3
    handed_on = len(set(fates.token[fates.token >= 0])) + fates.cls + fates.of_all
    assert handed_on == (36 if answered.average < 36 == answered.tokens else answered.tokens)
    assert words.table([answered])


def test_picked_patches_are_those_that_are_kept(model, seen):
    answered = by_hand(seen, QUESTION, [7, 3, 30])
    np.testing.assert_array_equal(np.flatnonzero(answered.fates.stays), [3, 7, 30])
    assert (answered.way, answered.tokens) == ("3 by hand", 3)
    assert by_hand(seen, QUESTION, range(36)).text == seen.answers[0].text
    with pytest.raises(ValueError, match="no patch is picked"):
        by_hand(seen, QUESTION, [])
    with pytest.raises(ValueError, match="from 0 to 35"):
        by_hand(seen, QUESTION, [36])


def test_where_a_patch_attends_is_a_distribution_without_what_cls_gets(seen):
    weights = shown.attended(seen, 3, 14)
    assert weights.shape == (6, 6) and 0 < weights.sum() <= 1 + 1e-6
    assert not np.allclose(weights, shown.attended(seen, 3, 15))
    with pytest.raises(ValueError, match="patch=36"):
        shown.attended(seen, 3, 36)


@pytest.mark.parametrize(
    ("question", "ways", "retain", "said"),
    [
        (" ", ["visionzip"], 20, "no question"),
        ("?" * 301, ["visionzip"], 20, "301 letters; allowed: 300"),
        (QUESTION, ["visonzip"], 20, "did you mean visionzip"),
        (QUESTION, ["vispruner(imporant=1)"], 20, "imporant"),
        (QUESTION, ["visionzip"], 99, "99"),
    ],
)
def test_what_is_not_allowed_is_said_and_leaves_the_model_as_it_was(
    model, question, ways, retain, said
):
    with pytest.raises(ValueError, match=said):
        show(model, example("rocket"), question, ways, retain)
    with borrowed(model) as stock:
        assert "get_image_features" not in vars(stock.model.base_model)


def test_models_that_see_several_views_are_refused(tmp_path):
    from tests import families

    made, processor = families.llava_next()
    made.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="several views"), borrowed(str(tmp_path)):
        pass


def test_two_users_at_once_get_their_own_answers_and_the_model_is_restored(model):
    """Each of two threads asks with its own image, method and budget, many times."""
    asked = [("rocket", "visionzip", 20), ("camera", "divprune", 7)]
    with borrowed(model) as stock:
        before = {name: value.clone() for name, value in stock.model.state_dict().items()}
        alone = [
            ask(stock, example(name).image, QUESTION, way, retain) for name, way, retain in asked
        ]
    wrong, rounds = [], 3
    together = threading.Barrier(2)

    def user(number):
        name, way, retain = asked[number]
        together.wait()
        for _ in range(rounds):
            found = show(model, example(name), QUESTION, [way], retain).answers[1]
            same = (found.text, found.tokens, found.split) == (
                alone[number].text, alone[number].tokens, alone[number].split
            )  # fmt: skip
            if not same or (found.fates.token != alone[number].fates.token).any():
                wrong.append((number, found))

    threads = [threading.Thread(target=user, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    with borrowed(model) as stock:
        after = stock.model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert "get_image_features" not in vars(stock.model.base_model)


def test_a_click_is_told_by_its_patch():
    assert patch_at(0, 0, 528, 24) == 0
    assert patch_at(527, 527, 528, 24) == 575
    assert patch_at(23, 45, 528, 24) == 2 * 24 + 1
    assert patch_at(600, -5, 528, 24) == 23


def test_a_brush_takes_a_square_and_gives_it_back():
    assert toggled([], 0, 3, 6) == [0, 1, 6, 7]
    assert toggled([0, 1, 6, 7, 20], 0, 3, 6) == [20]
    assert toggled([5], 14, 1, 6) == [5, 14]
    assert len(toggled([], 14, 5, 6)) == 25


def test_words_that_the_model_does_not_know_are_named(model):
    picture = Picture("red", np.asarray(open_image(Image.new("RGB", (48, 48), "red"))), (), {})
    told = words.notes(show(model, picture, "what is the sunset ?", ["visionzip"], 20))
    assert "no word for “sunset”" in told
