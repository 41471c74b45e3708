# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""TRL's side of a comparison of samplers: `python -m benchmarks.trl_sampling_side FOLDER OUT.json`.

The `generate` call of its GRPOTrainer, with the trainer's model and generation config: all completions of a run in one
batch of left-padded rows, dynamic key-value cache, scaled-dot-product attention, float32, one thread a core.
"""

import copy
import json
import os
import sys
import time
from pathlib import Path

import torch
import transformers
import trl

from benchmarks.sampling_comparison import GREEDY_TOKENS
from benchmarks.trl_side import check_same_model, make_trainer
from benchmarks.workload import Workload, load_prompt_ids, load_stop_ids


def main(folder: Path, output: Path) -> None:
    """Check, warm up, measure, write."""
    torch.set_num_threads(os.cpu_count() or 1)
    workload, ids, stops = Workload.load(folder), load_prompt_ids(folder), load_stop_ids(folder)
    trainer = make_trainer(workload, folder)
    check_same_model(trainer, folder)
    free = copy.deepcopy(trainer.generation_config)
    free.min_new_tokens, free.eos_token_id = None, stops
    greedy = copy.deepcopy(free)
    greedy.max_new_tokens, greedy.do_sample, greedy.temperature, greedy.top_k = GREEDY_TOKENS, False, None, None
    greedy.top_p = None
    pad = free.pad_token_id

    def sample(rows: list[list[int]], settings: transformers.GenerationConfig) -> list[list[int]]:
        longest = max(map(len, rows))
        padded = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with torch.no_grad():
            found = trainer.model.generate(input_ids=padded, attention_mask=mask, generation_config=settings)
        return [until_stop(row, stops) for row in found[:, longest:].tolist()]

    first_tokens = sample(ids, greedy)
    rows = [row for row in ids for _ in range(workload.group_size)]
    runs = []
    for step in range(1 + workload.steps):
        torch.manual_seed(step)
        start = time.perf_counter()
        lengths = [len(row) for row in sample(rows, free)]
        runs.append({"seconds": time.perf_counter() - start, "tokens": sum(lengths), "longest": max(lengths)})
    settings = {
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
        "dtype": str(trainer.model.dtype),
        "rows_at_once": len(rows),
        "cache": "dynamic, the prompt in each row",
    }
    output.write_text(json.dumps({"greedy": first_tokens, "runs": runs[1:], "settings": settings}), encoding="utf-8")


def until_stop(row: list[int], stops: list[int]) -> list[int]:
    """The ids up to the first stop, itself included."""
    ends = [place for place, token in enumerate(row, start=1) if token in stops]
    return row[: ends[0]] if ends else row


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
