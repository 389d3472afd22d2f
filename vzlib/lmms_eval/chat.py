"""The model that `lmms-eval --model vzlib` runs: a stock checkpoint, zipped, in batches."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from lmms_eval.protocol import ChatMessages
from tqdm import tqdm

import vzlib.models.mini_gemini_model  # noqa: F401  (transformers then knows its saved checkpoints)
from vzlib.lmms_eval.prompts import cut, generation, media, prompt_of
from vzlib.lmms_eval.shared_images import share_images
from vzlib.models.checkpoint import resolve
from vzlib.models.images import open_image
from vzlib.models.inside import Entered
from vzlib.models.load import load
from vzlib.models.zip import zip_model


class ZippedChat(lmms):
    """Answers what a task of lmms-eval asks, with few visual tokens.

    Arguments, as `--model_args` gives them:

    pretrained: "pico", a folder, or a hub name. method, retain, merge, share, seed: as
        `vzlib.zip_model` takes them; without method and retain the model is the stock one. A method
        with several hyper-parameters stands in quotes: method="vispruner(important=0.3)".
    device, dtype: as `vzlib.load` takes them. batch_size: questions at once.

    The results say what was spent: `avg_visual_tokens` among the throughput, per question, of a
    method inside the language model the average over its layers; and with `--log_samples` the
    tokens of each prompt and answer.

    Raises ValueError, before weights are read, for an argument that is not allowed.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str = "pico",
        method: str | None = None,
        retain: int | None = None,
        merge: Any = "code",
        share: Any = "evenly",
        seed: int = 0,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise ValueError(f"batch_size={batch_size!r} must be a whole number from 1")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError("--model vzlib runs in one process; WORLD_SIZE asks for more")
        self.batch_size = int(batch_size)
        loaded = load(resolve(pretrained, device=device, dtype=dtype))
        self.loaded_model, self.processor = loaded.model, loaded.processor
        self.processor.tokenizer.padding_side = "left"  # answers follow their prompts
        self.zipped = None
        if method is not None or retain is not None:
            named = None if method is None else str(method).strip("\"'")
            self.zipped = zip_model(
                loaded.model,
                loaded.processor,
                retain=retain,
                method=named,
                merge=merge,
                share=share,
                seed=seed,
            )
            self.processor = self.zipped.processor
        share_images(loaded.model, getattr(self.zipped and self.zipped.method, "needs", ()))

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer for each request, in their order."""
        found: list[GenerationResult | None] = [None] * len(requests)
        seconds, visual = 0.0, []
        bar = tqdm(total=len(requests), desc="vzlib", unit="question")
        for batch in _alike(requests, self.batch_size):
            start = time.perf_counter()
            results, spent = self._answer([requests[number] for number in batch])
            seconds += time.perf_counter() - start
            visual += spent
            for number, result in zip(batch, results, strict=True):
                found[number] = result
            bar.update(len(batch))
        bar.close()
        made = sum(one.token_counts.output_tokens for one in found if one is not None)
        log_metrics(
            total_elapsed_time=seconds,
            total_gen_tokens=made,
            avg_speed=made / seconds if seconds else 0.0,
            additional_metrics={
                "visual_tokens": sum(visual) / max(1, len(visual)),
                "num_requests": len(requests),
            },
        )
        return [one for one in found if one is not None]

    @torch.no_grad()
    def _answer(self, requests: Sequence[Instance]) -> tuple[list[GenerationResult], list[float]]:
        """The answers to one batch, and how many visual tokens each question cost."""
        model, processor = self.loaded_model, self.processor
        options, until = generation(requests[0].args[2], processor.tokenizer.pad_token_id)
        texts, images = [], []
        for _, to_messages, _, number, task, split in (request.args for request in requests):
            document = self.task_dict[task][split][number]
            messages = ChatMessages(messages=to_messages(document)).model_dump()["messages"]
            texts.append(prompt_of(processor, messages))
            images.append([open_image(one) for one in media(messages, task)])
        given = images if any(images) else None
        inputs = processor(text=texts, images=given, padding=True, return_tensors="pt")
        ids, real = inputs["input_ids"], inputs["attention_mask"]
        visual = (ids == model.config.image_token_id).sum(dim=1).double().tolist()
        output = model.generate(**inputs.to(model.device, model.dtype), **options)
        entered = None if self.zipped is None else self.zipped.tokens
        if given and isinstance(entered, Entered):  # one row for every beam, a prompt's together
            visual = entered.average[:: options["num_beams"]].tolist()
        made = output[:, ids.shape[1] :]
        words = processor.batch_decode(made, skip_special_tokens=True)
        ended = (made != processor.tokenizer.pad_token_id).sum(dim=1).tolist()
        results = []
        for text, said, read, wrote in zip(
            texts, words, real.sum(dim=1).tolist(), ended, strict=True
        ):
            answer = cut(said, until)
            self.cache_hook.add_partial("generate_until", (text, requests[0].args[2]), answer)
            results.append(GenerationResult(answer, TokenCounts(read, wrote)))
        return results, visual

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Refused: tasks that compare likelihoods are not generated."""
        raise NotImplementedError("--model vzlib answers tasks that generate (generate_until)")

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refused: each request is one question."""
        raise NotImplementedError("--model vzlib answers tasks of one round (generate_until)")


def _alike(requests: Sequence[Instance], size: int) -> Iterator[list[int]]:
    """Batches of numbers of requests that are generated alike, in their order."""
    groups: dict[str, list[int]] = {}
    for number, request in enumerate(requests):
        key = json.dumps(request.args[2], sort_keys=True, default=str)
        groups.setdefault(key, []).append(number)
    for group in groups.values():
        for first in range(0, len(group), size):
            yield group[first : first + size]
