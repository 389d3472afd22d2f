"""Images that several questions of a batch are about."""

import pytest
import torch

import vzlib
from tests import tiny
from vzlib.lmms_eval.shared_images import share_images
from vzlib.methods.registry import method

ASKED = [(0, "what is the colour ?"), (0, "how many ?"), (1, "how many ?"), (0, "left ?")]


def ask(model, processor, asked):
    processor.tokenizer.padding_side = "left"
    inputs = processor(
        text=[f"USER: <image>\n{text} ASSISTANT:" for _, text in asked],
        images=[[tiny.image(number)] for number, _ in asked],
        padding=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        made = model.generate(**inputs, max_new_tokens=3, do_sample=False, output_logits=True,
                              return_dict_in_generate=True)  # fmt: skip
    return made.sequences, torch.stack(made.logits)


@pytest.mark.parametrize("name", [None, "visionzip", "pooling", "fastv"])
def test_the_tower_sees_each_once_and_the_answers_are_the_same(name):
    model, processor = tiny.llava(image_size=48)
    chosen = ()
    if name:
        zipped = vzlib.zip_model(model, processor, retain=29 if name == "fastv" else 9, method=name)
        processor, chosen = zipped.processor, getattr(zipped.method, "needs", ())
    alone = ask(model, processor, ASKED)
    assert share_images(model, chosen)
    seen = []
    model.base_model.vision_tower.embeddings.register_forward_hook(
        lambda _, __, output: seen.append(len(output))
    )
    sequences, logits = ask(model, processor, ASKED)
    assert seen == [2]
    assert torch.equal(sequences, alone[0])
    torch.testing.assert_close(logits, alone[1])
    ask(model, processor, [ASKED[0], ASKED[2]])
    assert seen == [2, 2]


def test_what_depends_on_the_question_or_has_views_is_left_as_it_is():
    from tests import families

    model, _ = tiny.llava(image_size=48)
    needs = method("cdpruner").needs
    assert "text" in needs and not share_images(model, needs)
    assert "get_image_features" not in vars(model.base_model)
    assert not share_images(families.llava_next()[0])
