# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Our side of a comparison of samplers, in a process of its own: `python -m benchmarks.sampling_side FOLDER OUT.json`.

All samples of a run in lanes at once, each prompt prefilled once for its group, float32, all cores.
"""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.grpo_jax_side import make_config
from benchmarks.sampling_comparison import GREEDY_TOKENS
from benchmarks.workload import TEMPERATURE, Workload, load_prompt_ids
from grpo_jax.rollout.session import open_session
from grpo_jax.sampling.request import SampleRequest


def main(folder: Path, output: Path) -> None:
    """Check, warm up, measure, write."""
    workload, ids = Workload.load(folder), load_prompt_ids(folder)
    session = open_session(make_config(workload, max(len(row) for row in ids)))
    engine = session.engine
    weights = jax.block_until_ready(engine.serve(session.params))
    requests = [
        SampleRequest(np.array(row, np.int32), f"question#{number}", TEMPERATURE, workload.completion_tokens)
        for number, row in enumerate(ids)
    ]
    first_tokens = [dataclasses.replace(one, temperature=0.0, max_tokens=GREEDY_TOKENS) for one in requests]
    greedy = sorted(engine.sample(weights, first_tokens, 1, seed=0, step=0), key=lambda sample: sample.request)
    runs = []
    for step in range(1 + workload.steps):
        start = time.perf_counter()
        samples = list(engine.sample(weights, requests, workload.group_size, seed=0, step=step))
        lengths = [len(sample.completion.token_ids) for sample in samples]
        runs.append({"seconds": time.perf_counter() - start, "tokens": sum(lengths), "longest": max(lengths)})
    settings = {
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": os.cpu_count(),
        "jax": jax.__version__,
        "dtype": "float32",
        "rows_at_once": len(requests) * workload.group_size,
        "cache": "prompt once a group, own part grown in steps",
    }
    found = {
        "greedy": [sample.completion.token_ids.tolist() for sample in greedy],
        "runs": runs[1:],
        "settings": settings,
    }
    output.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
