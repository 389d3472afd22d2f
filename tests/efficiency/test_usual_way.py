"""The reference path chooses the same tokens as ours; pipelines answer alike."""

import pytest
import torch

from tests import tiny as models
from vzlib.efficiency import geometry, pipeline, usual_way
from vzlib.models.compiled_prefill import compiled_prefill
from vzlib.models.towers import encode
from vzlib.tokens import Budget, select_and_merge

CPU = torch.device("cpu")


@pytest.mark.parametrize("budget", [Budget(5, 3), Budget(9, 1), Budget(4, 0), Budget(1, 6)])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_usual_way_selects_and_merges_the_same(budget, batch):
    tower = models.tower(image_size=48)
    pixels = torch.randn(batch, 3, 48, 48, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        ours = select_and_merge(*encode(tower, pixels), budget)
    kept = usual_way.encode(tower, pixels)
    assert len(kept.output.attentions) == 4  # of every layer
    assert len(kept.output.hidden_states) == 5
    tokens, indices = usual_way.select_and_merge(*kept.layer, budget)
    assert torch.equal(indices, ours.kept)
    torch.testing.assert_close(tokens, ours.tokens, rtol=1e-4, atol=1e-5)
    assert tower.config._attn_implementation == "sdpa"


def test_the_same_without_cls():
    tower = models.tower("siglip", image_size=48)
    pixels = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    budget = Budget(6, 3, cls=False)
    with torch.no_grad():
        ours = select_and_merge(*encode(tower, pixels), budget)
    tokens, indices = usual_way.select_and_merge(*usual_way.encode(tower, pixels).layer, budget)
    assert torch.equal(indices, ours.kept)
    torch.testing.assert_close(tokens, ours.tokens, rtol=1e-4, atol=1e-5)


def words_of(variant, monkeypatch):
    """The stages that a variant went through, and the word after each prefill."""
    said = []
    stock = torch.Tensor.argmax

    def listening(tensor, *args, **named):
        found = stock(tensor, *args, **named)
        if tensor.shape[-1] == 32064:
            said.append(int(found))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "argmax", listening)
        stages = list(variant())
    return stages, said


def test_every_pipeline_with_all_tokens_says_the_same_words(tiny, monkeypatch):
    model = geometry.build("tiny", CPU, torch.float32)
    asked = pipeline.request(model, 5, before=3, after=4, new_tokens=3)
    stages, said = words_of(pipeline.vanilla(model, asked), monkeypatch)
    assert stages == ["tower", "projector", "prefill", "decode"]
    assert len(said) == 3
    _, pruned = words_of(pipeline.inside(model, asked, None), monkeypatch)
    assert pruned == said
    ids = torch.cat([asked.before, torch.full((1, 2880), geometry.IMAGE_TOKEN), asked.after], dim=1)
    model.generation_config.eos_token_id = None
    stock = model.generate(
        input_ids=ids, pixel_values=asked.pixels, max_new_tokens=3, do_sample=False,
        attention_mask=torch.ones_like(ids),
    )  # fmt: skip
    assert stock[0, -3:].tolist() == said


def test_both_ways_to_zip_say_the_same_words(tiny, monkeypatch):
    model = geometry.build("tiny", CPU, torch.float32)
    asked = pipeline.request(model, 5, before=3, after=4, new_tokens=2)
    budget = Budget(27, 5)
    stages, said = words_of(pipeline.visionzip(model, asked, budget), monkeypatch)
    assert stages == list(pipeline.STAGES)
    usual = words_of(pipeline.visionzip_usual(model, asked, budget), monkeypatch)
    assert usual == (stages, said)


def test_a_compiled_prefill_says_the_same_and_leaves_the_stock_one_to_others(tiny, monkeypatch):
    model = geometry.build("tiny", CPU, torch.float32)
    asked = pipeline.request(model, 5, before=3, after=4, new_tokens=2)
    eager = pipeline.visionzip(model, asked, Budget(27, 5))
    handles = []

    def kept(*args, **named):
        handles.append(compiled_prefill(*args, **named))
        return handles[-1]

    monkeypatch.setattr(pipeline, "compiled_prefill", kept)
    compiled = pipeline.compiled(model, eager, backend="eager")
    language = model.model.language_model
    assert "forward" not in vars(language)
    lengths = []
    run_layer = type(language.layers[0]).forward

    def listening(layer, hidden, *args, **named):
        lengths.append(hidden.shape[1])
        return run_layer(layer, hidden, *args, **named)

    assert words_of(compiled, monkeypatch) == words_of(eager, monkeypatch)
    assert handles[0].graphs == {(1, 192, False)}  # 167 tokens, in the next bucket
    with monkeypatch.context() as patch:
        patch.setattr(type(language.layers[0]), "forward", listening)
        list(eager())
    assert set(lengths) == {167, 1}  # nothing is padded to a bucket any more
    assert "forward" not in vars(language)


def test_a_schedule_out_of_reach_is_the_nearest_that_there_is():
    near = pipeline.schedule("fastv", 640, 32, 2880)
    assert near.average == pytest.approx(640, abs=1)
    lowest = pipeline.schedule("fastv", 160, 32, 2880)
    assert 160 < lowest.average < 200
