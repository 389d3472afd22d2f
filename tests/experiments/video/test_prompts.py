"""Numbered frames are what the stock model reads, and a budget is what is spent on them."""

import pytest
import torch

import vzlib
from vzlib.experiments.video.inside import answered
from vzlib.experiments.video.prompts import Prefix, look, prefix, text
from vzlib.methods import registry
from vzlib.models.shared_prefix import answered_right
from vzlib.scenes import clips

QUESTION = "which image shows the red star ?"


@pytest.fixture(scope="module")
def album():
    return clips.album(1, images=2)


@pytest.fixture(scope="module")
def seen(untrained, album):
    return look(untrained, album)


def stock(loaded, processor, album, **options):
    """The first answer token's logits, and the answer, of the stock prompt."""
    inputs = processor(
        images=[frame.image for frame in album.frames],
        text=text("album", len(album.frames), processor.image_token, QUESTION),
        return_tensors="pt",
    )
    with torch.no_grad():
        logits = loaded.model(**inputs).logits[0, -1]
        said = loaded.model.generate(**inputs, max_new_tokens=2, do_sample=False, **options)
    return logits, said[0, inputs["input_ids"].shape[1] :]


def ours(loaded, shown):
    """The same behind a prefix."""
    tokenizer, embed = loaded.processor.tokenizer, loaded.model.get_input_embeddings()
    before, behind = (
        embed(tokenizer(part, return_tensors="pt", add_special_tokens=special)["input_ids"])
        for part, special in (("USER:", True), (f"{QUESTION} ASSISTANT:", False))
    )
    embeds = torch.cat([before, shown.embeds, behind], dim=1)
    with torch.no_grad():
        return loaded.model.lm_head(
            loaded.model.model.language_model(inputs_embeds=embeds).last_hidden_state
        )[0, -1]


def test_all_tokens_are_the_stock_prompt(untrained, album, seen):
    shown = prefix(untrained, "album", seen, None, 514)
    assert shown.visual.sum() == 2 * 257 and len(shown.visual) == 2 * 259
    logits, said = stock(untrained, untrained.processor, album)
    torch.testing.assert_close(ours(untrained, shown), logits, rtol=1e-3, atol=1e-3)
    answer = untrained.processor.decode(said[:1])
    (right,) = answered_right(
        untrained.model, untrained.processor, shown.embeds, [[(QUESTION, f"{answer} yes")]]
    )
    assert right == [untrained.processor.decode(said) == f"{answer} yes"]


def test_17_tokens_of_each_image_are_those_of_the_zipped_model(untrained, album, seen):
    shown = prefix(untrained, "album", seen, registry.method("visionzip"), 34)
    assert shown.visual.tolist() == [*[False] * 2, *[True] * 17] * 2
    with vzlib.zip_model(untrained.model, untrained.processor, retain=17) as zipped:
        logits, _ = stock(untrained, zipped.processor, album)
    torch.testing.assert_close(ours(untrained, shown), logits, rtol=1e-3, atol=1e-3)


def test_one_budget_goes_where_attention_is(untrained, album, seen):
    method = registry.method("fastervlm")
    shown = prefix(untrained, "album", seen, method, 40, "attention")
    best = seen.scores[:, 1:].flatten().argsort(descending=True)[:40]
    counts = best.div(256, rounding_mode="floor").bincount(minlength=2)
    words = (~shown.visual).nonzero()[:, 0].tolist()
    assert words[2] - 2 == counts[0] and shown.visual.sum() == 40


def test_inside_the_language_model_numbers_stay_and_the_average_is_spent(untrained, seen):
    shown = prefix(untrained, "album", seen, None, 514)
    pairs = [(QUESTION, "1"), ("what is in two images ?", "red star"), (QUESTION, "2")]
    loaded = (untrained.model, untrained.processor)
    everything = registry.method("fastv", "inside").for_average(514, 6, 514).method
    told = answered(*loaded, shown, pairs, everything, 0)
    assert [one.average for one in told] == [514] * 3
    (right,) = answered_right(*loaded, shown.embeds, [pairs])
    assert [one.right for one in told] == right
    fewer = registry.method("fastv", "inside").for_average(200, 6, 514)
    told = answered(*loaded, shown, pairs, fewer.method, 0)
    assert [one.average for one in told] == pytest.approx([fewer.average] * 3)
    assert fewer.average == pytest.approx(200, abs=1)


def test_inside_prunes_as_the_zipped_stock_model_does(untrained, album, seen):
    """Whether each of two answers is given, by FastV on the stock prompt."""
    shown = prefix(untrained, "album", seen, None, 514)
    method = registry.method("fastv", "inside").for_average(220, 6, 514).method
    with vzlib.zip_model(untrained.model, untrained.processor, method=method) as zipped:
        _, said = stock(untrained, zipped.processor, album)
    words = untrained.processor.tokenizer.decode(said)
    loaded = (untrained.model, untrained.processor)
    first = untrained.processor.tokenizer.decode(said[:1])
    pairs = [(QUESTION, first), (QUESTION, "cyan cyan")]
    told = answered(*loaded, Prefix(*shown), pairs, method, 0)
    ended = said[1] == untrained.model.generation_config.eos_token_id
    assert told[0].right == bool(ended) and told[1].right == (words == "cyan cyan")
