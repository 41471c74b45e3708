# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""TRL's side of the comparison, in a process of its own: `python -m benchmarks.trl_side FOLDER TIMINGS.json`.

Set to be fast on a CPU while it computes the same thing in float32: scaled-dot-product attention, dynamic key-value
cache, no gradient checkpointing, the whole batch in one pass unless the workload says `rows_at_once`, fused AdamW, one
thread a core. One thing is changed in its favour, unless the workload says `trl_as_shipped`: without Triton, TRL 1.16
runs the output head over the prompts too and drops the result; here it runs over completions alone, as TRL does on a
GPU.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import trl
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import utils as trl_utils

from benchmarks.workload import (
    KL_COEFFICIENT,
    LEARNING_RATE,
    MAX_GRAD_NORM,
    TEMPERATURE,
    SideTimings,
    StepSeconds,
    Workload,
    load_prompt_ids,
    load_rollouts,
    reward_of_text,
)

MAX_LOGIT_DIFFERENCE = 1e-3


def main(folder: Path, output: Path) -> None:
    """Warm up, measure, write."""
    torch.set_num_threads(os.cpu_count() or 1)
    workload = Workload.load(folder)
    if not workload.trl_as_shipped:
        score_completions_alone()
    trainer = make_trainer(workload, folder)
    check_same_model(trainer, folder)
    if workload.given_rollouts:
        trainer.model.generate = _GivenRollouts(folder)
        # Ours sample on after a stop id, which TRL would cut them at.
        trainer.eos_token_ids = [-1]
    clock = _Clock(trainer)
    trainer.add_callback(clock)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    settings = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": torch.get_num_threads(),
        "onednn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
        "head_positions": "all" if workload.trl_as_shipped else "completions",
        "attention": trainer.model.config._attn_implementation,
        "optimizer": str(trainer.args.optim.value),
        "dtype": str(trainer.model.dtype),
    }
    warm_up, *measured = clock.steps
    SideTimings(warm_up.step, tuple(measured), settings).save(output)


def score_completions_alone() -> None:
    """Let the fused head of TRL take only the positions that are scored.

    Raises:
        RuntimeError: This version of TRL decides otherwise which positions those are.
    """
    if not hasattr(trl_utils, "_use_triton"):
        raise RuntimeError(f"TRL {trl.__version__} picks head positions in a way unknown here; use --trl-as-shipped")
    # In this module, the name decides about positions alone; the kernels ask their own.
    trl_utils._use_triton = lambda _device: True


def make_trainer(workload: Workload, folder: Path) -> GRPOTrainer:
    """TRL's trainer for the workload, on the model in the folder."""
    model = str(folder / "model")
    rows = len(workload.questions) * workload.group_size
    rows_at_once = workload.rows_at_once or rows

    def score(completions: list[Any], completion_ids: list[list[int]], **_columns: Any) -> list[float]:
        wrong = [len(ids) for ids in completion_ids if len(ids) != workload.completion_tokens]
        if len(completion_ids) != rows or wrong:
            raise RuntimeError(f"{len(completion_ids)} completions instead of {rows}, or of wrong lengths: {wrong}")
        return [reward_of_text(completion[0]["content"]) for completion in completions]

    arguments = GRPOConfig(
        output_dir=str(folder / "trl_output"),
        model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
        use_cpu=True,
        bf16=False,
        fp16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=rows_at_once,
        gradient_accumulation_steps=rows // rows_at_once,
        num_generations=workload.group_size,
        max_completion_length=workload.completion_tokens,
        generation_kwargs={"min_new_tokens": workload.completion_tokens},
        temperature=TEMPERATURE,
        top_p=1.0,
        top_k=0,
        loss_type="grpo",
        beta=KL_COEFFICIENT,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=MAX_GRAD_NORM,
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_steps=1 + workload.steps,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    prompts = [[{"role": "user", "content": question}] for question in workload.questions]
    return GRPOTrainer(
        model=model,
        reward_funcs=score,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        # Not AutoTokenizer, which rebuilds another pre-tokenizer for SmolLM2 than its tokenizer.json says.
        processing_class=PreTrainedTokenizerFast.from_pretrained(model, padding_side="left"),
    )


def check_same_model(trainer: Any, folder: Path) -> None:
    """Compare prompt ids and next-token logits with those that our side wrote.

    Raises:
        RuntimeError: The two sides would not do the same work.
    """
    expected_ids = load_prompt_ids(folder)
    prompts = [row["prompt"] for row in trainer.train_dataset]
    ids, _, _ = trainer._tokenize_prompts(prompts)
    if [list(row) for row in ids] != expected_ids:
        raise RuntimeError("the two sides tokenize the prompts differently")
    expected = np.load(folder / "next_token_logits.npy")
    trainer.model.eval()
    with torch.no_grad():
        found = np.stack([trainer.model(torch.tensor([row])).logits[0, -1].numpy() for row in expected_ids])
    difference = float(np.abs(found - expected).max())
    if difference > MAX_LOGIT_DIFFERENCE or (found.argmax(-1) != expected.argmax(-1)).any():
        raise RuntimeError(f"next-token logits of the two sides differ by up to {difference}")


class _GivenRollouts:
    """In the place of `generate`: the completions that our side sampled, step by step."""

    def __init__(self, folder: Path):
        self._folder, self._step = folder, 0
        self._rows = {tuple(row): index for index, row in enumerate(load_prompt_ids(folder))}

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_settings: Any) -> torch.Tensor:
        """Left-padded prompts with their completions behind them."""
        self._step += 1
        left = load_rollouts(self._folder, self._step)
        prompts = [tuple(row[mask.bool()].tolist()) for row, mask in zip(input_ids, attention_mask, strict=True)]
        completions = [left[self._rows[prompt]].pop(0) for prompt in prompts]
        return torch.cat([input_ids, torch.tensor(completions)], dim=1)


class _Clock(TrainerCallback):
    """Times steps, without TRL's logging and saving, and in them generation, reference scoring and the update."""

    def __init__(self, trainer: Any):
        self.steps: list[StepSeconds] = []
        self._start = self._sampling = self._reference = self._update_start = self._grad_norm = 0.0
        model, scoring, loss = trainer.model, trainer._get_per_token_logps_and_entropies, trainer.compute_loss
        generate, clip = model.generate, trainer.accelerator.clip_grad_norm_

        def timed_generate(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = generate(*args, **kwargs)
            self._sampling += time.perf_counter() - start
            return result

        def timed_scoring(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = scoring(*args, **kwargs)
            if not torch.is_grad_enabled():
                self._reference += time.perf_counter() - start
            return result

        def timed_loss(*args: Any, **kwargs: Any) -> Any:
            # Of the first of a step's microbatches.
            self._update_start = self._update_start or time.perf_counter()
            return loss(*args, **kwargs)

        def noted_clip(*args: Any, **kwargs: Any) -> Any:
            norm = clip(*args, **kwargs)
            self._grad_norm = float(norm)
            return norm

        model.generate = timed_generate
        trainer._get_per_token_logps_and_entropies = timed_scoring
        trainer.compute_loss = timed_loss
        trainer.accelerator.clip_grad_norm_ = noted_clip

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Before the batch is generated."""
        self._sampling = self._reference = self._update_start = 0.0
        self._start = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After the optimizer, before logging."""
        end = time.perf_counter()
        learning = self._reference + end - self._update_start
        self.steps.append(StepSeconds(self._sampling, learning, end - self._start, self._grad_norm))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
