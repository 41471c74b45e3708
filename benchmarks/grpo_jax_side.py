# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Our side of the comparison, each call in a process of its own.

`python -m benchmarks.grpo_jax_side FOLDER` writes the model, the prompts' ids and next-token logits that the other side
starts from; `python -m benchmarks.grpo_jax_side FOLDER TIMINGS.json` measures.
"""

import copy
import dataclasses
import os
import sys
import time
from pathlib import Path

import flax.nnx as nnx
import jax
import jaxlib
import numpy as np

from benchmarks.workload import (
    KL_COEFFICIENT,
    LEARNING_RATE,
    MAX_GRAD_NORM,
    TEMPERATURE,
    SideTimings,
    StepSeconds,
    Workload,
    load_prompt_ids,
    save_prompt_ids,
    save_rollouts,
)
from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.pretrained import Published, load_published
from grpo_jax.config import (
    DataConfig,
    Domain,
    ModelConfig,
    ObjectiveConfig,
    RewardsConfig,
    RunConfig,
    SamplingConfig,
    TrainingConfig,
)
from grpo_jax.models.transformer import Transformer, abstract_params
from grpo_jax.records import Problem, Prompt, RolloutGroup
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rollout.collector import RolloutCollector
from grpo_jax.rollout.session import Session, open_session
from grpo_jax.training.learner import Learner
from grpo_jax.training.state import TrainState

NO_STOP_IDS = (-1,)
"""An id that no model samples: every completion runs to its token limit."""


def prepare(folder: Path) -> None:
    """Write the float32 model, the prompts' ids and the logits of the token after each prompt."""
    workload = Workload.load(folder)
    model = load_published(workload.model)
    params = model.read_weights(None)
    export_hugging_face(folder / "model", model.architecture, params, model.tokenizer, model.hf_config, "float32")
    ids = [model.tokenizer.encode_chat([{"role": "user", "content": question}]) for question in workload.questions]
    save_prompt_ids(folder, ids, model.tokenizer.stop_ids)
    graph, _, _ = abstract_params(model.architecture)
    transformer: Transformer = nnx.merge(graph, params)
    logits = [transformer.hidden_states(np.array([row]))[0, -1] @ transformer.head_table.T for row in ids]
    np.save(folder / "next_token_logits.npy", np.stack([np.asarray(row) for row in logits]))


def measure(folder: Path, output: Path) -> None:
    """Warm up, measure, write."""
    workload = Workload.load(folder)
    ids = load_prompt_ids(folder)
    config = make_config(workload, max(len(row) for row in ids))
    session = open_session(config, _without_stops(load_published(workload.model)))
    domain = next(iter(config.domains))
    prompts = [
        Prompt(
            Problem(f"gsm8k#{number}", domain, ({"role": "user", "content": question},), None),
            np.array(row, np.int32),
        )
        for number, (question, row) in enumerate(zip(workload.questions, ids, strict=True))
    ]
    with RewardPool(config.domains, config.rewards) as pool:
        collector = RolloutCollector(config, session.engine, pool, session.tokenizer)
        learner = Learner(config, session, 1 + workload.steps)
        state = learner.initial_state(session.params)
        steps = []
        for step in range(1, 2 + workload.steps):
            state, seconds, groups = _step(config, session, collector, learner, state, prompts, step)
            steps.append(seconds)
            sampled = [[rollout.completion.token_ids.tolist() for rollout in group.rollouts] for group in groups]
            save_rollouts(folder, step, sampled)
    warm_up, *measured = steps
    settings = {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "devices": str(jax.devices()),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": os.cpu_count() or 1,
        "dtype": config.model.dtype,
    }
    SideTimings(warm_up.step, tuple(measured), settings).save(output)


def make_config(workload: Workload, max_prompt_tokens: int) -> RunConfig:
    """The workload as a run: everything that it does not set stays at its default.

    An update takes as many tokens at once as the rows have that the other side takes at once.
    """
    training = TrainingConfig(learning_rate=LEARNING_RATE, max_grad_norm=MAX_GRAD_NORM)
    if workload.rows_at_once:
        row = max_prompt_tokens + workload.completion_tokens
        training = dataclasses.replace(training, microbatch_tokens=workload.rows_at_once * row)
    return RunConfig(
        model=ModelConfig(path=workload.model, dtype="float32", remat="dots"),
        data=DataConfig(prompts_per_step=len(workload.questions), max_prompt_tokens=max_prompt_tokens),
        domains={"math": Domain(rewards={"benchmarks.workload:reward": 1.0})},
        sampling=SamplingConfig(
            group_size=workload.group_size,
            temperature=TEMPERATURE,
            max_completion_tokens=workload.completion_tokens,
        ),
        rewards=RewardsConfig(workers=1),
        objective=ObjectiveConfig(name="grpo", kl_coefficient=KL_COEFFICIENT),
        training=training,
    )


def _without_stops(model: Published) -> Published:
    tokenizer = copy.copy(model.tokenizer)
    tokenizer.stop_ids = NO_STOP_IDS
    return dataclasses.replace(model, tokenizer=tokenizer)


def _step(
    config: RunConfig,
    session: Session,
    collector: RolloutCollector,
    learner: Learner,
    state: TrainState,
    prompts: list[Prompt],
    step: int,
) -> tuple[TrainState, StepSeconds, tuple[RolloutGroup, ...]]:
    """One step as `training/loop.py` makes it; the serving copy of the weights counts as sampling."""
    start = time.perf_counter()
    weights = jax.block_until_ready(session.engine.serve(state.params))
    served = time.perf_counter()
    collected = collector.collect(
        weights,
        prompts,
        num_samples=config.sampling.group_size,
        step=step,
        policy_version=int(state.num_updates),
    )
    del weights
    expected = len(prompts) * config.sampling.group_size * config.sampling.max_completion_tokens
    if collected.sampled_tokens != expected:
        raise RuntimeError(f"{collected.sampled_tokens} tokens sampled instead of {expected}")
    sampled = time.perf_counter()
    state, learned = learner.learn(state, collected.groups, step)
    jax.block_until_ready(state)
    end = time.perf_counter()
    sampling = served - start + collected.sampling_seconds
    return state, StepSeconds(sampling, end - sampled, end - start, learned.grad_norms[0]), collected.groups


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if len(sys.argv) > 2:
        measure(target, Path(sys.argv[2]))
    else:
        prepare(target)
