import pytest
from PIL import Image

from tests import tiny
from vzlib.efficiency.parts import PARTS, Mark, milliseconds, watched
from vzlib.models.answer import answer
from vzlib.models.zip import zip_model

T, P, L = "tower", "projector", "language"


def marks(*seen):
    return [Mark(name, begins, at) for name, begins, at in seen]


def test_a_stock_answer_is_cut_where_one_part_ends():
    seen = marks((T, True, 1.0), (T, False, 3.0), (P, True, 3.5), (P, False, 3.75),
                 (L, True, 4.0), (L, False, 8.0), (L, True, 8.5), (L, False, 9.0),
                 ("", False, 9.5))  # fmt: skip
    assert milliseconds(seen) == dict(zip(PARTS, (2000, 500, 500, 4000, 500), strict=True))


def test_another_look_and_another_projection_before_the_last_belong_to_tower_and_selection():
    seen = marks((T, True, 0.0), (T, False, 1.0), (P, True, 1.0), (P, False, 2.0),
                 (T, True, 2.0), (T, False, 5.0), (P, True, 6.0), (P, False, 6.5),
                 (L, True, 7.0), (L, False, 8.0), ("", False, 8.25))  # fmt: skip
    assert milliseconds(seen) == dict(zip(PARTS, (4000, 2000, 1000, 1000, 250), strict=True))


def test_what_was_not_called_is_an_error():
    with pytest.raises(ValueError, match="must be called"):
        milliseconds(marks((L, True, 0.0), (L, False, 1.0), ("", False, 2.0)))


@pytest.mark.parametrize("method", [None, "visionzip", "divprune(compared=projected)", "fastv"])
def test_watches_every_kind_of_method_and_leaves_no_hook(method):
    model, processor = tiny.llava(image_size=48)
    image = Image.new("RGB", (48, 48), "red")
    answer(model, processor, image, "what is left", max_new_tokens=2)  # which leaves hooks itself
    hooks = sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())
    if method is None:
        with watched(model) as seen:
            answer(model, processor, image, "what is left", max_new_tokens=2)
    else:
        with (
            zip_model(model, processor, retain=30, method=method) as zipped,
            watched(model) as seen,
        ):
            answer(model, zipped.processor, image, "what is left", max_new_tokens=2)
    parts = milliseconds(seen)
    assert list(parts) == list(PARTS)
    assert all(taken >= 0 for taken in parts.values()) and parts["tower"] > 0 < parts["prefill"]
    left = sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())
    assert left == hooks
