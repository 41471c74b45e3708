# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What does storing each prompt once save in an update?

    python -m benchmarks.shared_prompt_update --output ratios.json

Measured: one loss and gradient (no optimizer) of the same rollouts, 8 groups of 8 completions of 128 tokens after
prompts of 256, in float32, with a model of 4 layers (`--layers`) that is otherwise SmolLM2-135M: width 576, 9 heads,
49,152 ids. The output head is the same work in all of them, and half of the work at 4 layers; at 30 it is a tenth.

- shared: the product's layout, rows of [prompt | r1 | ... | r8].
- padded: one row of [prompt | completion] for each completion, same tiled log-probabilities.
- plain: padded rows with all logits at once, [rows, tokens, vocabulary], the way most trainers write it.

In turns, `--repeats` times after one call to compile; times are medians, memory is XLA's account of temporary memory
of the compiled program. The gradients of shared and padded rows must agree before anything is timed.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from grpo_jax.config import Domain, ObjectiveConfig
from grpo_jax.model_config import Remat
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.transformer import abstract_params
from grpo_jax.objective.domain_terms import domain_terms
from grpo_jax.objective.presets import resolve
from grpo_jax.rollout.packing import TrainBatch
from grpo_jax.rollout.response_lines import identical_lines
from grpo_jax.training.update import UpdateInputs, UpdateSettings, accumulate_gradient

GROUPS, MEMBERS, PROMPT, COMPLETION = 8, 8, 256, 128
ARCH = Architecture(
    family="llama",
    vocab_size=49_152,
    width=576,
    num_layers=4,
    num_heads=9,
    num_kv_heads=3,
    head_size=64,
    mlp_size=1536,
)


def make_batch(shared: bool) -> TrainBatch:
    """The same rollouts in one of the two layouts."""
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, ARCH.vocab_size, (GROUPS, PROMPT), np.int32)
    completions = rng.integers(0, ARCH.vocab_size, (GROUPS, MEMBERS, COMPLETION), np.int32)
    advantages = np.broadcast_to(rng.normal(size=(GROUPS, MEMBERS, 1)), completions.shape).astype(np.float32)
    rows, responses = (GROUPS, MEMBERS) if shared else (GROUPS * MEMBERS, 1)
    tokens = (1, rows, responses, COMPLETION)
    return TrainBatch(
        prompt_ids=(prompts if shared else np.repeat(prompts, MEMBERS, axis=0))[None],
        prompt_lengths=np.full((1, rows), PROMPT, np.int32),
        response_ids=completions.reshape(tokens),
        mask=np.ones(tokens, bool),
        weights=np.full(tokens, 1 / completions.size, np.float32),
        advantages=advantages.reshape(tokens),
        temperature=np.ones((1, rows), np.float32),
        sampler_logprobs=np.zeros(tokens, np.float32),
        behaviour_logprobs=np.zeros(tokens, np.float32),
        domain=np.zeros((1, rows), np.int32),
        replayed=np.zeros((1, rows), bool),
        line_tokens=np.broadcast_to(identical_lines(responses, COMPLETION), tokens),
        places=np.broadcast_to(identical_lines(responses, COMPLETION), tokens),
    )  # type: ignore[arg-type]


def plain_loss(params: Any, graph: nnx.GraphDef, remat: Remat, batch: TrainBatch) -> jax.Array:
    """On-policy loss of padded rows from all logits at once."""
    ids = jnp.concatenate([batch.prompt_ids[0], batch.response_ids[0, :, 0]], axis=1)
    model = nnx.merge(graph, params)
    logits = model.hidden_states(ids, remat=remat)[:, PROMPT - 1 : -1] @ model.head_table.T
    logprobs = jnp.take_along_axis(jax.nn.log_softmax(logits), batch.response_ids[0, :, 0, :, None], axis=-1)[..., 0]
    ratio = jnp.exp(logprobs - jax.lax.stop_gradient(logprobs))
    return -(ratio * batch.advantages[0, :, 0] * batch.weights[0, :, 0]).sum()


def main() -> None:
    """Measure and print."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="measured calls of each")
    parser.add_argument("--layers", type=int, default=ARCH.num_layers, help="of the model; SmolLM2 has 30")
    parser.add_argument("--remat", choices=get_args(Remat), default="none", help="as model.remat, for all of them")
    parser.add_argument("--without-plain", action="store_true", help="leave out what holds all logits")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    graph, shapes, _ = abstract_params(replace(ARCH, num_layers=arguments.layers, sliding_layers=()))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.02, leaf.shape), jnp.float32), shapes)
    settings, domains = ObjectiveConfig(aggregation="token_mean"), {"plain": Domain()}
    objective = resolve(settings, domains)
    terms = jax.tree.map(jnp.asarray, domain_terms(settings, objective, domains))
    fixed = UpdateSettings(graph, objective, jnp.float32, remat=arguments.remat)

    def packed(params: Any, batch: TrainBatch) -> tuple[jax.Array, Any]:
        loss, gradient, _ = accumulate_gradient(params, {}, UpdateInputs(batch, None, None), terms, fixed)
        return loss, gradient

    def plain(params: Any, batch: TrainBatch) -> tuple[jax.Array, Any]:
        return jax.value_and_grad(plain_loss)(params, graph, arguments.remat, batch)

    cases = {
        "shared": (packed, make_batch(shared=True)),
        "padded": (packed, make_batch(shared=False)),
        "plain": (plain, make_batch(shared=False)),
    }
    if arguments.without_plain:
        del cases["plain"]
    programs, figures, results = {}, {}, {}
    for name, (function, batch) in cases.items():
        placed = jax.tree.map(jnp.asarray, batch)
        compiled = jax.jit(function).lower(params, placed).compile()
        programs[name] = partial(compiled, params, placed)
        figures[name] = {"temporary_bytes": compiled.memory_analysis().temp_size_in_bytes, "seconds": []}
        results[name] = jax.block_until_ready(programs[name]())
    for name in [*cases][1:]:
        gaps = jax.tree.map(
            lambda a, b: float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)), results["shared"][1], results[name][1]
        )
        figures[name]["gradient_gap"] = max(jax.tree.leaves(gaps))
        if figures[name]["gradient_gap"] > 1e-4:
            raise RuntimeError(f"gradients of shared and {name} rows differ by {figures[name]['gradient_gap']}")
    for _ in range(arguments.repeats):
        for name, program in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(program())
            figures[name]["seconds"].append(time.perf_counter() - start)
    shared = figures["shared"]
    for name, own in figures.items():
        own["median_seconds"] = statistics.median(own["seconds"])
        own["times_slower"] = own["median_seconds"] / statistics.median(shared["seconds"])
        own["times_memory"] = own["temporary_bytes"] / shared["temporary_bytes"]
        print(
            f"{name:<7} {own['median_seconds']:7.2f} s ({own['times_slower']:.2f} x)   "
            f"{own['temporary_bytes'] / 2**30:6.2f} GiB temporary ({own['times_memory']:.2f} x)"
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
