# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A thousand rollout functions at once, some of which raise, hang or return nonsense, in a run that learns."""

import asyncio
import gc
import json
import os
import random
import threading
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.process_memory import process_memory
from grpo_jax.config import LoggingConfig, ObjectiveConfig, RolloutConfig
from grpo_jax.rollout.trajectory import Outcome, TurnSettings
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import DOMAINS, tiny_run, write_problems

PROMPTS, GROUP, STEPS = 125, 8, 4


class Storm:
    """Two turns with a wait between them; of a hundred rollouts about five raise, five hang, five return nonsense."""

    def __init__(self):
        self.ends, self.at_once, self.most_at_once, self.memory = Counter[str](), 0, 0, []

    async def __call__(self, problem, generate):
        if sum(self.ends.values()) % (PROMPTS * GROUP) == 0:
            self.memory.append(process_memory()["VmRSS"])
        draw = random.Random(f"{problem.id} {generate.seed}").random()
        kind = "raised" if draw < 0.05 else "hung" if draw < 0.1 else "nonsense" if draw < 0.15 else "done"
        self.ends[kind] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            turn = await generate(problem.messages, settings=TurnSettings(max_tokens=3))
            if kind == "raised":
                raise ValueError("a storm")
            if kind == "hung":
                await asyncio.Event().wait()
            if kind == "nonsense":
                return {"turn": turn}
            asyncio.get_running_loop().create_task(asyncio.sleep(3600))  # nobody waits for it
            await asyncio.sleep(draw)
            turn = await generate([7, 8], after=turn)
            return Outcome(turn, reward=draw)
        finally:
            self.at_once -= 1


def storm_run(folder, storm, prompts=PROMPTS, steps=STEPS):
    problems = write_problems(folder / "problems.jsonl", "plain", "train", STEPS * PROMPTS)
    config = tiny_run(
        folder,
        exp_name=f"storm_{prompts}",
        domains={"plain": replace(DOMAINS["plain"], rollout=storm, rewards={})},
        objective=ObjectiveConfig(name="dr_grpo"),
        rollout=RolloutConfig(seconds=8.0),
        logging=LoggingConfig(completions_every_steps=1),
    )
    sources = (f"plain::{problems}@train",)
    return replace(
        config,
        data=replace(config.data, train_sources=sources, eval_sources=(), prompts_per_step=prompts),
        sampling=replace(config.sampling, group_size=GROUP, max_completion_tokens=10, chunk_tokens=3),
        training=replace(config.training, max_steps=steps, microbatch_tokens=8192),
        evaluation=replace(config.evaluation, every_steps=0),
        checkpoint=replace(config.checkpoint, every_steps=0),
    )


@pytest.mark.slow
def test_of_a_thousand_functions_a_step_every_healthy_one_is_trained_and_nothing_stays(tmp_path):
    train(storm_run(tmp_path, Storm(), prompts=5, steps=1))  # what is opened once for all runs is no leak
    gc.collect()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    storm = Storm()
    run = train(storm_run(tmp_path, storm)).run_folder
    rows = read_metrics(run / "metrics.jsonl")
    counted = {end: sum(row[f"rollout/plain/{end}"] for row in rows) for end in storm.ends}
    assert counted == dict(storm.ends)
    assert sum(counted.values()) == STEPS * PROMPTS * GROUP
    assert storm.most_at_once == PROMPTS * GROUP
    trained = 0
    for file in sorted((run / "completions").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            assert (told["advantage"] != 0) == (told["status"] != "invalid")
            trained += told["advantage"] != 0
    assert trained == storm.ends["done"]
    gc.collect()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files
    assert not [task for task in gc.get_objects() if type(task) is asyncio.Task and not task.done()]
    # The first two steps compile.
    assert storm.memory[-1] - storm.memory[2] < 50 * 2**20
