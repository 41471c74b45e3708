# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How fast one config samples and learns on this hardware, and how far that is from what the hardware could do.

First everything is run once, which compiles it; then the rollout is timed `repeats` times, then two updates of which
the second counts. The samples are the same each time. Prefill is timed by itself, as one sample of one token for each
prompt; decode is what the rollout takes beyond that.
"""

import dataclasses
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jaxlib
import numpy as np

from grpo_jax.bench.compilations import counting_compilations
from grpo_jax.bench.device_rates import measure_rates
from grpo_jax.bench.random_model import NO_STOP_ID, random_model
from grpo_jax.bench.roofline import (
    DecodeLoad,
    Rates,
    decode_limits,
    decode_step,
    model_cost,
    prefill_seconds,
)
from grpo_jax.bench.shapes import published_shape
from grpo_jax.bench.workload import STEP, Workload, by_request, config_workload, synthetic_workload, with_lengths
from grpo_jax.checkpoint.pretrained import Published, load_published
from grpo_jax.config import Domain, RunConfig
from grpo_jax.models.update_flops import update_flops
from grpo_jax.parallel.rules import batch_multiple
from grpo_jax.records import ConfigError, Reward, RewardStatus, Rollout, RolloutGroup
from grpo_jax.rollout.session import Session, open_session
from grpo_jax.sampling.request import Sample
from grpo_jax.sampling.serving import ServingWeights
from grpo_jax.training.learner import Learner

Figures = dict[str, Any]


@dataclass(frozen=True)
class BenchOptions:
    """What the command line asks for.

    Attributes:
        lognormal: Synthetic prompts and lognormal lengths instead of the config's own.
        mean_tokens: Mean of the lognormal lengths; None is a third of the largest token limit.
        random_weights: Fill the sizes that `model.path` names with random weights instead of loading it.
        repeats: Timed rollouts.
        update: Whether updates are measured.
    """

    lognormal: bool
    mean_tokens: float | None = None
    random_weights: bool = False
    repeats: int = 3
    update: bool = True


def bench(config: RunConfig, options: BenchOptions) -> Figures:
    """Measure.

    Returns:
        Nested figures: `measured_on`, `device`, `workload`, `sampling`, `compiled` and, where asked, `update`.

    Raises:
        ConfigError: The model or its problems cannot be had as configured, or the options contradict each other.
    """
    config, published = _prepare(config, options)
    with counting_compilations() as compiled:
        session = open_session(config, published)
        rates = measure_rates(session.dtype)
        weights = session.engine.serve(session.params)
        workload = _workload(config, options, session, weights)
        sampling, samples = _sampling(config, options, session, weights, workload, rates)
        decode_programs = session.engine.num_compiled["chunk"]
        del weights
        update = _update(config, session, workload, samples, rates) if options.update else None
    return {
        "measured_on": _machine(config, session),
        "device": {
            "copy_bytes_per_second": rates.bytes_per_second,
            "matmul_flops_per_second": rates.flops_per_second,
        },
        "workload": _workload_figures(config, options, session, workload, samples),
        "sampling": sampling,
        "compiled": {
            "programs": compiled.count,
            "seconds": compiled.seconds,
            "decode_programs": decode_programs,
        },
        **({} if update is None else {"update": update}),
    }


def _prepare(config: RunConfig, options: BenchOptions) -> tuple[RunConfig, Published]:
    if not options.lognormal and options.random_weights:
        raise ConfigError("--lengths config needs the model's own tokenizer; with --random-weights use lognormal")
    if options.random_weights:
        published = random_model(published_shape(config.model.path))
    else:
        published = load_published(config.model.path)
    if not options.lognormal:
        return config, published
    tokenizer = _copy_without_stops(published)
    sampling = dataclasses.replace(config.sampling, stop=(), stop_token_ids=())
    domains = {
        name: dataclasses.replace(domain, stop=None, stop_token_ids=None) for name, domain in config.domains.items()
    }
    domains = domains or {"bench": Domain(rewards={"accuracy": 1.0})}
    return (
        dataclasses.replace(config, sampling=sampling, domains=domains),
        dataclasses.replace(published, tokenizer=tokenizer),
    )


def _copy_without_stops(published: Published) -> Any:
    copied = object.__new__(type(published.tokenizer))
    copied.__dict__.update(published.tokenizer.__dict__)
    copied.stop_ids = (NO_STOP_ID,)
    return copied


def _workload(config: RunConfig, options: BenchOptions, session: Session, weights: ServingWeights) -> Workload:
    if not options.lognormal:
        return config_workload(config, session.tokenizer)
    plain = synthetic_workload(config, session.arch.vocab_size)
    largest = max(request.max_tokens for request in plain.requests)
    mean = options.mean_tokens or largest / 3
    if mean >= largest:
        raise ConfigError(f"--mean-tokens {mean:g} must be below the largest token limit, {largest}")
    return with_lengths(plain, session.engine, weights, config.sampling.group_size, mean, config.seed)


def _sampling(
    config: RunConfig,
    options: BenchOptions,
    session: Session,
    weights: ServingWeights,
    workload: Workload,
    rates: Rates,
) -> tuple[Figures, list[list[Sample]]]:
    engine, group = session.engine, config.sampling.group_size

    def rollout() -> list[Sample]:
        return list(engine.sample(weights, workload.requests, group, seed=config.seed, step=STEP))

    firsts = [dataclasses.replace(request, max_tokens=1) for request in workload.requests]

    def prefill() -> list[Sample]:
        return list(engine.sample(weights, firsts, 1, seed=config.seed, step=STEP))

    samples = by_request(rollout())
    prefill()
    runs = []
    for _ in range(options.repeats):
        before = dataclasses.replace(engine.counts)
        seconds = _timed(rollout)
        after = engine.counts
        gap, chunks = after.host_gap_seconds - before.host_gap_seconds, after.chunks - before.chunks
        runs.append((seconds, gap, chunks, after.row_steps - before.row_steps, _timed(prefill)))
    seconds, gap, chunks, row_steps, prefill_time = (statistics.median(column) for column in zip(*runs, strict=True))
    lengths = _lengths(samples)
    tokens = sum(map(sum, lengths))
    decode_seconds = seconds - prefill_time
    load = _load(config, session, workload, lengths)
    cost = model_cost(session.arch, np.dtype(session.dtype).itemsize, engine.mesh.shape["tensor"])
    limits = {name: limit * batch_multiple(engine.mesh) for name, limit in decode_limits(cost, rates, load).items()}
    least = decode_step(cost, rates, load)
    least_prefill = prefill_seconds(cost, rates, workload.prompt_tokens / batch_multiple(engine.mesh))
    decode_rate = tokens / decode_seconds
    return {
        "rollout_seconds": seconds,
        "rollout_seconds_of_each": [run[0] for run in runs],
        "rollout_tokens_per_second": tokens / seconds,
        "prefill_seconds": prefill_time,
        "prefill_tokens_per_second": workload.prompt_tokens / prefill_time,
        "prefill_fraction_of_roofline": least_prefill / prefill_time,
        "decode_seconds": decode_seconds,
        "decode_tokens_per_second": decode_rate,
        "decode_fraction_of_roofline": decode_rate / limits["shared"],
        "decode_limits_tokens_per_second": limits,
        "decode_step_least_seconds": {**dataclasses.asdict(least), "total": least.total},
        "decode_load": dataclasses.asdict(load),
        "chunks": chunks,
        "chunk_milliseconds": 1000 * decode_seconds / chunks,
        "host_gap_seconds": gap,
        "host_gap_fraction": gap / decode_seconds,
        "row_steps": row_steps,
        "useful_row_steps": tokens / row_steps,
    }, samples


def _load(config: RunConfig, session: Session, workload: Workload, lengths: Sequence[Sequence[int]]) -> DecodeLoad:
    """The load of one device, with all lanes taken."""
    num_prompts, group = len(workload.requests), config.sampling.group_size
    slots, lanes_a_slot = session.engine.batch_shape(num_prompts, group)
    flat = np.array([length for own in lengths for length in own], np.float64)
    return DecodeLoad(
        lanes=slots * lanes_a_slot / batch_multiple(session.engine.mesh),
        group=lanes_a_slot,
        prompt_tokens=workload.prompt_tokens / num_prompts,
        own_tokens=float((flat * (flat + 1) / 2).sum() / flat.sum()),
        limit_tokens=max(request.max_tokens for request in workload.requests),
    )


def _update(
    config: RunConfig, session: Session, workload: Workload, samples: list[list[Sample]], rates: Rates
) -> Figures:
    learner = Learner(config, session, 2)
    rng = np.random.default_rng(config.seed)
    groups = [
        RolloutGroup(
            prompt,
            tuple(
                Rollout(sample.completion, "", Reward(RewardStatus.PASS, float(rng.normal()), {}), policy_version=0)
                for sample in own
            ),
        )
        for prompt, own in zip(workload.prompts, samples, strict=True)
    ]
    state = learner.initial_state(session.params)
    state, _ = learner.learn(state, groups, 1)
    jax.block_until_ready(state)
    start = time.perf_counter()
    state, learned = learner.learn(state, groups, 2)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - start
    updates = config.training.minibatches * config.training.epochs
    flops = update_flops(
        session.arch,
        [(len(p.token_ids), own) for p, own in zip(workload.prompts, _lengths(samples), strict=True)],
        epochs=config.training.epochs,
        scorings=learner.num_scorings,
        adapters_only=session.lora is not None,
    )
    device_flops = rates.flops_per_second * session.mesh.size
    return {
        "seconds": seconds,
        "tokens": learned.tokens,
        "tokens_per_second": learned.tokens / seconds,
        "flops": flops,
        "mfu": flops / seconds / device_flops,
        "updates": updates,
    }


def _lengths(samples: Sequence[Sequence[Sample]]) -> list[list[int]]:
    return [[len(sample.completion.token_ids) for sample in own] for own in samples]


def _workload_figures(
    config: RunConfig, options: BenchOptions, session: Session, workload: Workload, samples: list[list[Sample]]
) -> Figures:
    lengths = _lengths(samples)
    flat = [length for own in lengths for length in own]
    return {
        "lengths": "lognormal" if options.lognormal else "config",
        "prompts": len(workload.requests),
        "group_size": config.sampling.group_size,
        "prompt_tokens": workload.prompt_tokens,
        "completion_tokens": sum(flat),
        "completion_tokens_mean": statistics.fmean(flat),
        "completion_tokens_max": max(flat),
        "completion_lengths": lengths,
        "token_limit": max(request.max_tokens for request in workload.requests),
        "chunk_tokens": config.sampling.chunk_tokens,
        "model": config.model.path,
        "random_weights": options.random_weights,
        "family": session.arch.family,
        "parameters": session.arch.num_parameters,
    }


def _machine(config: RunConfig, session: Session) -> Figures:
    device = jax.local_devices()[0]
    memory = device.memory_stats() or {}
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "platform": device.platform,
        "device_kind": device.device_kind,
        "devices": session.mesh.size,
        "mesh": {name: int(size) for name, size in session.mesh.shape.items()},
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "dtype": config.model.dtype,
        "attention": config.model.attention,
        "peak_device_bytes": memory.get("peak_bytes_in_use"),
    }


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
