"""Parts of a zipped model trained by Hugging Face's Trainer, everything else frozen."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.trainer_utils import get_last_checkpoint

from vzlib.evaluation.questions import Asked
from vzlib.methods.before import Before
from vzlib.models.host import host_of
from vzlib.models.images import open_image
from vzlib.models.load import Loaded
from vzlib.models.overrides import put, take
from vzlib.models.zip import zip_model
from vzlib.results import location
from vzlib.training.loop import working_dtype
from vzlib.training.packing import packed

SAVE_EVERY = 20  # steps


class Course(NamedTuple):
    """How a training goes.

    rate: highest, after a warm-up over 3 % of the steps; falls to zero along a cosine, as in
    LLaVA. batch: images a step. steps: how many. seed: of the order of the images.
    """

    rate: float
    batch: int
    steps: int
    seed: int


class Parts(nn.Module):
    """Parts of a model that train, and nothing else of it.

    What Trainer moves, optimises, saves and shares between devices is the parts; the model is not
    one of them, and its pass is that of the whole.
    """

    def __init__(self, model: Any, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self._whole = (model,)

    def forward(self, **inputs: Any) -> Any:
        return self._whole[0](**inputs)


class Numbered(Dataset[int]):
    """The numbers of images, in the order of which Trainer decides."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> int:
        return number


class Clock(TrainerCallback):
    """Adds to every logged step how long the training has taken so far, kills left out.

    seconds: on the clock of the wall. cpu_seconds: of this process on its processors.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        last = state.log_history[-1] if state.log_history else {}
        self.before = [last.get(name, 0.0) for name in ("seconds", "cpu_seconds")]
        self.begun = [time.perf_counter(), time.process_time()]

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = [time.perf_counter(), time.process_time()]
        wall, own = (
            before + at - begun
            for before, at, begun in zip(self.before, now, self.begun, strict=True)
        )
        state.log_history[-1] |= {"seconds": wall, "cpu_seconds": own}


def train_parts(
    loaded: Loaded,
    parts: dict[str, nn.Module],
    asked: Sequence[Asked],
    *,
    way: Before,
    retain: int,
    course: Course,
    folder: Path,
    tokens: Tensor | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Trains parts of a model on what is asked about images of which `retain` tokens are left.

    The model is zipped meanwhile, and its own `forward` and loss are used: cross-entropy of the
    answers, all questions about an image behind it in one sequence. What was in float16 or
    bfloat16 trains in float32, with products in bfloat16 where the device computes in it.

    folder: where the state is saved; a training that was killed goes on from there, to the same
        weights, and the folder is removed at the end.
    tokens: `[N, K, D]` of `kept_tokens`, so that the tower need not look again; only for families
        whose images all cost the same. Without, the tower looks at every image of every step.

    Columns: step, loss, rate, seconds, cpu_seconds (since the start, without what killed runs
    lost), dtype (of the products), device (its kind).
    """
    model, device = loaded.model, loaded.model.device
    dtype = str(working_dtype(str(device))).removeprefix("torch.")
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=course.batch,
        max_steps=course.steps,
        learning_rate=course.rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.03,
        weight_decay=0.0,
        seed=course.seed,
        bf16=dtype == "bfloat16",
        use_cpu=device.type == "cpu",
        logging_steps=1,
        save_steps=SAVE_EVERY,
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type != "cpu",
        label_names=["labels"],
        report_to="none",
        disable_tqdm=not progress,
    )
    trained = Parts(model, parts)
    with (
        _only(model, trained),
        zip_model(model, loaded.processor, retain=retain, method=way) as zipped,
    ):
        images = _Images(loaded, zipped, asked, tokens)
        with images.laid():
            trainer = Trainer(
                model=trained,
                args=arguments,
                train_dataset=Numbered(len(asked)),
                data_collator=images,
                callbacks=[Clock()],
            )
            trainer.remove_callback(PrinterCallback)
            last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
            trainer.train(resume_from_checkpoint=last)
    shutil.rmtree(folder, ignore_errors=True)
    steps = [row for row in trainer.state.log_history if "loss" in row]
    curve = pd.DataFrame(steps).rename(columns={"learning_rate": "rate"})
    columns = ["step", "loss", "rate", "seconds", "cpu_seconds"]
    return curve[columns].astype({"step": int}).assign(dtype=dtype, device=device.type)


def state_folder(told: str) -> Path:
    """Where the state of a training is saved, in the store of results; `told` says what it is."""
    return location() / ".training" / hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


class _Images:
    """Puts batches together: images by their numbers, and what is asked about them."""

    def __init__(
        self, loaded: Loaded, zipped: Any, asked: Sequence[Asked], tokens: Tensor | None
    ) -> None:
        self.loaded, self.zipped, self.asked, self.tokens = loaded, zipped, asked, tokens

    def __call__(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        chosen = [self.asked[number] for number in numbers]
        if self.tokens is None:
            visual, seen = self._looked_at(chosen)
        else:
            visual = [self.tokens.shape[1]] * len(chosen)
            seen = {"pixel_values": self.tokens[list(numbers)].float()}
        return packed(self.loaded.processor, chosen, visual, self.loaded.model.dtype) | seen

    def _looked_at(self, chosen: Sequence[Asked]) -> tuple[list[int], dict[str, Tensor]]:
        """Placeholders of each image, and what the processor makes of all."""
        processor = self.zipped.processor
        inputs = processor(
            images=[open_image(one.image) for one in chosen],
            text=[processor.image_token] * len(chosen),
            padding=True,
            return_tensors="pt",
        )
        placeholder = inputs.pop("input_ids") == self.loaded.model.config.image_token_id
        inputs.pop("attention_mask")
        pixels = inputs["pixel_values"].to(self.loaded.model.dtype)
        return placeholder.sum(1).tolist(), {**inputs, "pixel_values": pixels}

    @contextmanager
    def laid(self) -> Iterator[None]:
        """Meanwhile the model takes kept tokens for pixel values, if there are any."""
        if self.tokens is None:
            yield
            return
        core = self.loaded.model.base_model
        override = put(core, "get_image_features", _of_kept)
        try:
            yield
        finally:
            take(override, _of_kept)


def _of_kept(below: Any, core: Any, pixel_values: Tensor, **_: Any) -> Any:
    features: Any = list(host_of(core).projector(core)(pixel_values))
    return BaseModelOutputWithPooling(last_hidden_state=pixel_values, pooler_output=features)


@contextmanager
def _only(model: Any, trained: Parts) -> Iterator[None]:
    """Meanwhile the parts alone are to be trained, in float32; then all is as it was."""
    wanted = {name: weight.requires_grad for name, weight in model.named_parameters()}
    dtypes = {name: weight.dtype for name, weight in trained.named_parameters()}
    model.requires_grad_(False)
    trained.float().requires_grad_(True)
    try:
        yield
    finally:
        for name, weight in model.named_parameters():
            weight.requires_grad_(wanted[name])
            weight.grad = None
        for name, weight in trained.named_parameters():
            weight.data = weight.data.to(dtypes[name])
        model.eval()
