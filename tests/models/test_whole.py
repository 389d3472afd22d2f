"""A zipped model is a whole one: copies, pickles, hooks, offloading, what its methods return."""

import copy
import io
import itertools
import multiprocessing
import pickle
import threading

import accelerate
import cloudpickle
import pytest
import torch
import torch.distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import vzlib
from tests import tiny

OVERRIDES = {"get_image_features", "get_placeholder_mask"}


@torch.no_grad()
def logits(model, inputs, **options):
    return model(**inputs, **options).logits


def small(**options):
    return tiny.llava(image_size=48, **options)


def saved_whole(zipped):
    content = io.BytesIO()
    torch.save(zipped, content)
    content.seek(0)
    return torch.load(content, weights_only=False)


COPIES = {
    "pickle": lambda zipped: pickle.loads(pickle.dumps(zipped)),
    "cloudpickle": lambda zipped: pickle.loads(cloudpickle.dumps(zipped)),
    "torch.save": saved_whole,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("twin", COPIES.values(), ids=COPIES)
def test_a_copy_with_its_handle_is_zipped_and_undone_apart(twin):
    model, processor = small()
    zipped = vzlib.zip_model(model, processor, retain=8, merge="paper")
    inputs = tiny.batch(zipped.processor)
    expected = logits(model, inputs)
    other = twin(zipped)
    assert torch.equal(logits(other.model, tiny.batch(other.processor)), expected)
    with other.record() as seen:
        logits(other.model, inputs)
        logits(model, inputs)
    assert len(seen) == 1
    other.undo()
    stock = tiny.batch(processor)
    assert logits(other.model, stock).shape[1] == stock["input_ids"].shape[1]
    assert torch.equal(logits(model, inputs), expected)
    assert not OVERRIDES & other.model.model.__dict__.keys()


@pytest.mark.parametrize("twin", COPIES.values(), ids=COPIES)
def test_a_copy_of_the_model_alone_is_zipped_and_runs_its_own_tower(twin):
    model, processor = small()
    zipped = vzlib.zip_model(model, processor, retain=8)
    inputs, other = tiny.batch(zipped.processor), twin(model)
    with torch.no_grad():
        for parameter in model.model.vision_tower.parameters():
            parameter.mul_(1.5)
    changed = logits(model, inputs)
    zipped.undo()
    copied = logits(other, inputs)
    assert copied.shape == changed.shape and not torch.equal(copied, changed)
    with vzlib.zip_model(other, retain=4):
        assert other.get_image_features(inputs["pixel_values"]).pooler_output[0].shape[0] == 4
    assert torch.equal(logits(other, inputs), copied)


def test_a_copy_inside_of_two_contexts_unwinds_like_the_model():
    model, processor = small()
    pixels = tiny.batch(processor)["pixel_values"]
    outer = vzlib.zip_model(model, processor, retain=8)
    inner = vzlib.zip_model(model, processor, retain=4)
    outer, inner = pickle.loads(pickle.dumps((outer, inner)))
    counts = []
    with outer:
        with inner:
            counts.append(len(outer.model.get_image_features(pixels).pooler_output[0]))
        counts.append(len(outer.model.get_image_features(pixels).pooler_output[0]))
    counts.append(len(outer.model.get_image_features(pixels).pooler_output[0]))
    assert counts == [4, 8, 36]


def in_another_process(zipped, answer):
    answer.put(zipped.model.generate(**tiny.batch(zipped.processor), max_new_tokens=2).numpy())


def test_a_spawned_worker_gets_a_zipped_model():
    model, processor = small()
    zipped = vzlib.zip_model(model, processor, retain=8)
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    worker = context.Process(target=in_another_process, args=(zipped, answer))
    worker.start()
    found = answer.get(timeout=120)
    worker.join()
    expected = model.generate(**tiny.batch(zipped.processor), max_new_tokens=2)
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_handles_undone_in_any_order_leave_the_stock_model(order):
    model, _ = small()
    before = dict(model.model.__dict__)
    handles = [vzlib.zip_model(model, retain=retain) for retain in (4, 8, 12)]
    for index in order:
        handles[index].__exit__()
    assert model.model.__dict__ == before


# -- accelerate, FSDP ------------------------------------------------------------------------------


def offloaded(model):
    blocks = ["CLIPEncoderLayer", "LlamaDecoderLayer"]
    accelerate.cpu_offload(model, execution_device="cpu", preload_module_classes=blocks)


def offloaded_part_by_part(model):
    accelerate.cpu_offload(model, execution_device="cpu")


def dispatched(model):
    owners = [name for name, part in model.named_modules() if list(part.parameters(recurse=False))]
    devices = dict.fromkeys(owners, "cpu")
    accelerate.dispatch_model(model, devices, main_device="cpu", force_hooks=True)


def dispatched_by_part(model):
    parts = ("model.vision_tower", "model.multi_modal_projector", "model.language_model", "lm_head")
    accelerate.dispatch_model(model, dict.fromkeys(parts, "cpu"), "cpu", force_hooks=True)


WRAPPED = [offloaded, offloaded_part_by_part, dispatched, dispatched_by_part]


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("first", ["zipped", "wrapped"])
def test_offloaded_and_dispatched_models_are_zipped_and_stay_so_when_undone(wrap, first):
    model, processor = small()
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        inputs, expected = tiny.batch(zipped.processor), None
        expected = logits(model, inputs)
    stock = tiny.batch(processor)
    vanilla = logits(model, stock)
    if first == "wrapped":
        wrap(model)
    zipped = vzlib.zip_model(model, processor, retain=8)
    if first == "zipped":
        wrap(model)
    hooks = sum(hasattr(module, "_hf_hook") for module in model.modules())
    assert hooks > 1
    assert torch.equal(logits(model, inputs), expected)
    assert torch.equal(
        zipped.model.generate(**inputs, max_new_tokens=2)[:, :-2], inputs["input_ids"]
    )
    zipped.undo()
    assert sum(hasattr(module, "_hf_hook") for module in model.modules()) == hooks
    assert torch.equal(logits(model, stock), vanilla)
    accelerate.hooks.remove_hook_from_submodules(model)
    assert not OVERRIDES & model.model.__dict__.keys()


@pytest.fixture
def mesh(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def by_block(model):
    return [*model.model.vision_tower.encoder.layers, *model.model.language_model.layers]


def by_tower(model):
    return [model.model.vision_tower]


def by_encoder(model):
    return [*by_block(model), model.model.vision_tower.encoder, model.model.vision_tower]


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")  # from transformers 5.24 on
@pytest.mark.parametrize("parts", [by_block, by_tower, by_encoder])
@pytest.mark.parametrize("first", ["zipped", "sharded"])
def test_fully_sharded_models_are_zipped_and_train(mesh, parts, first):
    model, processor = small()
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        inputs = tiny.batch(zipped.processor)
        expected = logits(model, inputs)
    if first == "zipped":
        zipped = vzlib.zip_model(model, processor, retain=8)
    for part in (*parts(model), model):
        fully_shard(part, mesh=mesh)
    if first == "sharded":
        zipped = vzlib.zip_model(model, processor, retain=8)
    output = model(**inputs, labels=inputs["input_ids"])
    torch.testing.assert_close(output.logits, expected)
    output.loss.backward()
    tower = model.model.vision_tower
    assert tower.encoder.layers[0].mlp.fc1.weight.grad.to_local().abs().sum() > 0
    zipped.undo()
    assert not OVERRIDES & model.model.__dict__.keys()
    if parts is by_block:  # stock LLaVA finds no hidden states in a tower that is a unit of its own
        stock = tiny.batch(processor)
        assert logits(model, stock).shape[1] == stock["input_ids"].shape[1]


# -- hooks -----------------------------------------------------------------------------------------


def parts_that_run(tower):
    blocks = getattr(tower.encoder, "layers", None) or tower.encoder.layer
    attention = getattr(blocks[2], "self_attn", None) or blocks[2].attention
    return [
        tower,
        tower.embeddings,
        tower.encoder,
        blocks[0],
        blocks[2],
        attention,
        attention.q_proj,
    ]


@pytest.mark.parametrize("family", ["clip", "dinov2", "registers"])
def test_hooks_fire_once_for_each_part_that_runs(family):
    model, processor = small(family=family)
    tower = model.model.vision_tower
    fired = []
    for number, part in enumerate(parts_that_run(tower)):
        part.register_forward_pre_hook(lambda module, _, number=number: fired.append(number))
        part.register_forward_hook(lambda module, *_, number=number: fired.append((number, module)))
    last = (getattr(tower.encoder, "layers", None) or tower.encoder.layer)[-1]
    last.register_forward_hook(lambda *_: fired.append("last"))
    with vzlib.zip_model(model, processor, retain=8) as zipped:
        logits(model, tiny.batch(zipped.processor))
    assert [each for each in fired if isinstance(each, int)] == [0, 1, 2, 3, 4, 5, 6]
    assert [each[1] for each in fired if isinstance(each, tuple)] == [
        parts_that_run(tower)[number] for number in (1, 3, 6, 5, 4, 2, 0)
    ]
    assert "last" not in fired


def test_what_hooks_change_counts():
    model, processor = small()
    tower = model.model.vision_tower
    block = tower.encoder.layers[2]
    with vzlib.zip_model(model, processor, retain=8) as zipped, torch.no_grad():
        pixels = tiny.batch(zipped.processor)["pixel_values"]

        def kept():
            with zipped.record() as seen:
                model.get_image_features(pixels)
            return seen[0]

        before = kept()
        for part, change in (
            (block, lambda module, _, output: output + 1),
            (tower.embeddings, lambda module, _, output: output.flip(1)),
            (block.self_attn.q_proj, lambda module, _, output: -output),
            (block.self_attn.k_proj, lambda module, _, output: -output),
        ):
            hook = part.register_forward_hook(change)
            after = kept()
            hook.remove()
            if part is not block:
                assert not torch.equal(after.kept, before.kept)
            assert not torch.equal(after.tokens, before.tokens)
        assert torch.equal(kept().tokens, before.tokens)


def test_rating_by_the_block_as_it_is_and_apart_are_equal_to_the_last_bit():
    tower, (pixels,) = tiny.tower(image_size=192), tiny.tower_inputs(image_size=192)[0]
    with torch.no_grad():
        eager = vzlib.encode(tower, pixels)
        compiled = torch.compile(vzlib.encode, backend="eager", fullgraph=True)(tower, pixels)
    assert all(map(torch.equal, eager, compiled))


def test_nothing_is_left_on_the_tower_also_after_an_error():
    tower, (pixels,) = tiny.tower(), tiny.tower_inputs()[0]
    modules = list(tower.modules())

    def state():
        hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in modules]
        return hooks, [set(m.__dict__) for m in modules]

    before = state()
    vzlib.encode(tower, pixels), vzlib.received_by_layer(tower, pixels)
    vzlib.attention_rows(tower, pixels, queries=[1])
    assert state() == before
    hook = tower.encoder.layers[1].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vzlib.encode(tower, pixels)
    hook.remove()
    assert state() == before


def test_a_reader_leaves_the_passes_of_other_threads_alone():
    tower, (pixels,) = tiny.tower(), tiny.tower_inputs()[0]
    with torch.no_grad():
        expected = [vzlib.encode(tower, pixels, layer=layer) for layer in (1, -1)]
        whole = tower(pixels).last_hidden_state
    inside, go, found = threading.Event(), threading.Event(), []

    def read():
        with torch.no_grad():
            found.append(vzlib.encode(tower, pixels, layer=1))

    reader = threading.Thread(target=read)

    def wait(*_):
        if threading.current_thread() is reader:
            inside.set()
            go.wait(60)

    hook = tower.embeddings.register_forward_hook(wait)
    reader.start()
    assert inside.wait(60)
    with torch.no_grad():  # while the other one is in the middle of its pass
        assert torch.equal(tower(pixels).last_hidden_state, whole)
        assert all(map(torch.equal, vzlib.encode(tower, pixels, layer=-1), expected[1]))
    go.set()
    reader.join()
    hook.remove()
    assert all(map(torch.equal, found[0], expected[0]))
    assert "forward" not in tower.encoder.__dict__


def test_parts_compiled_by_themselves_give_the_same():
    tower, (pixels,) = tiny.tower(), tiny.tower_inputs()[0]
    with torch.no_grad():
        expected = vzlib.encode(tower, pixels)
        for part in (tower.encoder.layers[2], tower.encoder.layers[2].self_attn, tower):
            part.compile(backend="eager")
            for _ in range(2):
                assert torch.equal(vzlib.encode(tower, pixels).scores, expected.scores)


def test_an_encoder_whose_loop_was_replaced_is_read_at_the_right_layer():
    tower, (pixels,) = tiny.tower(), tiny.tower_inputs()[0]
    with torch.no_grad():
        expected = vzlib.encode(tower, pixels)
        loop = tower.encoder.forward
        tower.encoder.forward = lambda *arguments, **options: loop(*arguments, **options)
        found = vzlib.encode(tower, pixels)
    assert all(map(torch.equal, found, expected))


# -- what get_image_features returns ---------------------------------------------------------------


@pytest.fixture(scope="module")
def both():
    """(stock model, zipped twin with all tokens but the CLS token, pixels)."""
    model, processor = small()
    twin = copy.deepcopy(model)
    vzlib.zip_model(twin, processor, vzlib.Budget.all(36))
    return model, twin, tiny.batch(processor)["pixel_values"]


def kinds(output):
    if isinstance(output, torch.Tensor):
        return tuple(output.shape)
    if isinstance(output, list | tuple):
        return type(output), [kinds(each) for each in output]
    return None if output is None else type(output)


OPTIONS = [
    {},
    {"output_hidden_states": True},
    {"output_hidden_states": [0, 1, -2]},
    {"output_hidden_states": 3},
    {"output_attentions": True},
    {"output_attentions": True, "output_hidden_states": True},
    {"vision_feature_layer": -1},
    {"vision_feature_layer": [-2]},
    {"vision_feature_layer": 1, "output_hidden_states": False},
]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@torch.no_grad()
def test_features_come_with_what_stock_gives(both, options, attention):
    stock, twin, pixels = both
    for model in (stock, twin):
        model.set_attn_implementation(attention)
    expected = stock.get_image_features(pixels, **options)
    found = twin.get_image_features(pixels, **options)
    assert type(found) is type(expected) and list(found) == list(expected)
    for name in ("hidden_states", "attentions"):
        assert kinds(found.get(name)) == kinds(expected.get(name))
    for ours, theirs in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert ours is theirs is None or torch.equal(ours, theirs)
    assert all(map(torch.equal, found.pooler_output, expected.pooler_output))
    flat = twin.get_image_features(pixels, **options, return_dict=False)
    theirs = stock.get_image_features(pixels, **options, return_dict=False)
    assert type(flat) is tuple and len(flat) == len(theirs)
    assert all(map(torch.equal, flat[1], theirs[1]))


@torch.no_grad()
def test_what_the_config_says_is_followed(both):
    stock, twin, pixels = copy.deepcopy(both)
    for model in (stock, twin):
        model.config.return_dict = False
        model.set_attn_implementation("eager")
        model.config.vision_config.output_attentions = True
    expected, found = (model.get_image_features(pixels) for model in (stock, twin))
    assert type(found) is type(expected) is tuple and len(found) == len(expected) == 4
    assert kinds(found[2:]) == kinds(expected[2:])
    assert twin.get_image_features(pixels, return_dict=True).attentions is not None


@torch.no_grad()
def test_a_model_without_its_head_is_zipped_too(both):
    core = copy.deepcopy(both[0].model)
    with vzlib.zip_model(core, tiny.processor(image_size=48), retain=8) as zipped:
        assert core(**tiny.batch(zipped.processor)).last_hidden_state.shape[0] == 2
        assert zipped.shorten(tiny.batch(tiny.processor(image_size=48)))["input_ids"].shape[0] == 2


def test_a_strategy_that_stock_does_not_know_is_refused(both):
    for model in both[:2]:
        with pytest.raises(ValueError, match=r"vision_feature_select_strategy=|Unexpected select"):
            model.get_image_features(both[2], vision_feature_select_strategy="most")


def test_a_feature_layer_in_a_list_is_one_layer():
    model, processor = small(layer=[-2])
    stock = tiny.batch(processor)
    expected = logits(model, stock)
    with vzlib.zip_model(model, processor, vzlib.Budget.all(36)):
        assert torch.equal(logits(model, stock), expected)


@pytest.mark.parametrize("pad", [-1, None, 0, 2])
@pytest.mark.parametrize("image_token", [4, 0])
def test_shortened_texts_are_padded_with_a_token_that_is_no_image(pad, image_token):
    model, _ = small()
    model.config.text_config.pad_token_id = pad
    ids = torch.tensor([[1] + [4] * 36 + [5, 6], [1, 5, 6] + [7] * 36])
    if image_token == 0:
        model.config.image_token_id = 0
        ids = ids.masked_fill(ids == 4, 0)
    short = vzlib.zip_model(model, retain=8).shorten({"input_ids": ids})
    assert (short["input_ids"] == image_token).sum(1).tolist() == [8, 0]
    padding = short["input_ids"][short["attention_mask"] == 0]
    assert padding.numel() == 28 and (padding >= 0).all() and padding.unique().numel() == 1
    assert pad in (-1, None, image_token) or padding[0] == pad


def test_a_handle_entered_again_zips_again():
    model, processor = small()
    pixels = tiny.batch(processor)["pixel_values"]
    zipped = vzlib.zip_model(model, processor, retain=8)
    counts = []
    for _ in range(2):
        with zipped:
            counts.append(len(model.get_image_features(pixels).pooler_output[0]))
        counts.append(len(model.get_image_features(pixels).pooler_output[0]))
    zipped.undo()
    with zipped, vzlib.zip_model(model, retain=4):
        counts.append(len(model.get_image_features(pixels).pooler_output[0]))
    assert counts == [8, 36, 8, 36, 4]
    assert not OVERRIDES & model.model.__dict__.keys()


def test_undone_also_under_a_method_that_somebody_laid_over_it():
    model, processor = small()
    inputs = tiny.batch(processor)
    zipped = vzlib.zip_model(model, processor, retain=8)
    ours, calls = model.model.get_image_features, []

    def theirs(*arguments, **options):
        calls.append(1)
        return ours(*arguments, **options)

    model.model.get_image_features = theirs
    assert len(model.get_image_features(inputs["pixel_values"]).pooler_output[0]) == 8
    zipped.undo()
    assert len(model.get_image_features(inputs["pixel_values"]).pooler_output[0]) == 36
    assert model.model.get_image_features is theirs and len(calls) == 2
