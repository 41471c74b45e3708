# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The update of a config as the learner compiles it, for its longest rows, without a run around it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grpo_jax.config import DataConfig, Domain, ModelConfig, RunConfig, SamplingConfig, TrainingConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.kernel_attention import XLA_UPDATE_ATTENTION, UpdateAttention
from grpo_jax.models.lora import adapters_of, lora_spec
from grpo_jax.models.quantization import is_quantized, quantization_kind
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.objective.domain_terms import domain_terms
from grpo_jax.objective.presets import resolve
from grpo_jax.parallel.rules import MESH_AXES, replicated
from grpo_jax.rollout.packing import RowShape, TrainBatch
from grpo_jax.rollout.response_lines import identical_lines
from grpo_jax.rollout.session import placed_shapes
from grpo_jax.training.memory_plan import MemoryPlan, plan_memory
from grpo_jax.training.optimizer import make_optimizer, optimizer_shardings
from grpo_jax.training.state import TrainState
from grpo_jax.training.update import UpdateInputs, UpdateSettings, update


@dataclass(frozen=True)
class UpdateProgram:
    """A compiled update and what it is called with.

    Attributes:
        compiled: Called with state, frozen weights, inputs and terms; the state is donated.
        plan: Of the same config.
        state: Shapes of the first argument.
        frozen: Shapes of the second.
        terms: The last argument.
    """

    compiled: Any
    plan: MemoryPlan
    state: TrainState
    frozen: Params
    terms: Any

    @property
    def planned_bytes(self) -> int:
        """What the plan says of state and update together."""
        return sum(self.plan.state.values()) + sum(self.plan.update.values())

    @property
    def compiled_bytes(self) -> int:
        """XLA's account of one device: arguments, the batch among them, and temporary memory."""
        analysis = self.compiled.memory_analysis()
        return analysis.argument_size_in_bytes + analysis.temp_size_in_bytes


def update_config(
    model: ModelConfig,
    *,
    prompts: int,
    prompt_tokens: int,
    group_size: int,
    completion_tokens: int,
    microbatch_tokens: int,
) -> RunConfig:
    """A run of one domain without KL, of which only the update is of interest.

    Args:
        model: How it computes.
        prompts: A step.
        prompt_tokens: Of the longest prompt.
        group_size: Completions of each prompt.
        completion_tokens: Of the longest completion.
        microbatch_tokens: Held at once.
    """
    return RunConfig(
        domains={"plain": Domain()},
        model=model,
        data=DataConfig(prompts_per_step=prompts, max_prompt_tokens=prompt_tokens),
        sampling=SamplingConfig(group_size=group_size, max_completion_tokens=completion_tokens),
        training=TrainingConfig(microbatch_tokens=microbatch_tokens),
    )


def compile_update(
    config: RunConfig, arch: Architecture, mesh: Mesh, attention: UpdateAttention = XLA_UPDATE_ATTENTION
) -> UpdateProgram:
    """Compile the update of the longest prompts and completions that a config allows; nothing is allocated.

    Args:
        config: The run. Without a KL term nor replay.
        arch: Its model.
        mesh: Where it runs.
        attention: How rows attend.
    """
    plan = plan_memory(config, arch, mesh.abstract_mesh)
    spec, kind = lora_spec(config.model.lora), quantization_kind(config.model.quantization)
    dtype = jnp.dtype(config.model.dtype)
    graph, shapes, names = abstract_params(arch, lora=spec, quantization=kind)
    trained, trained_names, frozen = shapes, names, {}
    if spec is not None:
        trained, trained_names = adapters_of(shapes), adapters_of(names)
        _, base, base_names = abstract_params(arch, quantization=kind)
        in_dtype = jax.tree.map(partial(_in_dtype, dtype), base, is_leaf=is_quantized)
        frozen = placed_shapes(mesh, in_dtype, base_names)
    trained = placed_shapes(mesh, trained, trained_names)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, trained)
    optimizer = make_optimizer(config.training, 10)
    state = jax.eval_shape(lambda params: TrainState(params, optimizer.init(params), jnp.int32(0)), trained)
    whole: Any = replicated(mesh)
    placement = TrainState(shardings, optimizer_shardings(optimizer, trained, shardings, whole), whole)
    state = jax.tree.map(lambda x, at: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=at), state, placement)
    objective = resolve(config.objective, config.domains)
    settings = UpdateSettings(
        graph, objective, dtype, config.model.remat, mesh if mesh.size > 1 else None, attention=attention
    )
    run = jax.jit(
        partial(update, settings=settings, optimizer=optimizer), donate_argnums=0, out_shardings=(placement, None)
    )
    terms = jax.tree.map(jnp.asarray, domain_terms(config.objective, objective, config.domains))
    by_row = NamedSharding(mesh, PartitionSpec(None, MESH_AXES["batch"]))
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=by_row),
        random_batch(_over_devices(plan, mesh), arch, abstract=True),
    )
    compiled = run.lower(state, frozen, UpdateInputs(batch, None, None), terms).compile()
    return UpdateProgram(compiled, plan, state, frozen, terms)


def random_inputs(program: UpdateProgram, arch: Architecture, mesh: Mesh) -> UpdateInputs:
    """Full rows of random ids on the mesh."""
    batch = random_batch(_over_devices(program.plan, mesh), arch)
    by_row = NamedSharding(mesh, PartitionSpec(None, MESH_AXES["batch"]))
    return UpdateInputs(jax.device_put(batch, by_row), None, None)


def random_state(shapes: Any) -> Any:
    """Weights of a small spread; codes, moments and counts are zero."""
    leaves, tree = jax.tree.flatten_with_path(shapes)

    def draw(number: int, path: Any, shape: jax.ShapeDtypeStruct) -> jax.Array:
        if jax.tree_util.keystr(path[:1]) == ".optimizer" or not jnp.issubdtype(shape.dtype, jnp.floating):
            return jnp.zeros(shape.shape, shape.dtype, device=shape.sharding)
        normal = jax.jit(jax.random.normal, static_argnums=(1, 2), out_shardings=shape.sharding)
        return 0.02 * normal(jax.random.key(number), shape.shape, shape.dtype)

    return jax.tree.unflatten(tree, [draw(number, *leaf) for number, leaf in enumerate(leaves)])


def random_batch(rows: RowShape, arch: Architecture, abstract: bool = False) -> TrainBatch:
    """Full rows, a line a response; `abstract` gives shapes alone."""
    m, b, r, p, c, j = rows
    tokens, by_row = (m, b, r, c), (m, b)

    def make() -> TrainBatch:
        rng = np.random.default_rng(0)
        lines = np.broadcast_to(identical_lines(r, c), tokens)

        def some(*shape: int) -> np.ndarray:
            return rng.integers(0, arch.num_base_ids, shape, np.int32)

        return TrainBatch(
            prompt_ids=some(m, b, p),
            prompt_lengths=np.full(by_row, p, np.int32),
            response_ids=some(*tokens),
            mask=np.ones(tokens, bool),
            weights=np.full(tokens, 1 / np.prod(tokens), np.float32),
            advantages=np.broadcast_to(rng.normal(size=(m, b, r, 1)), tokens).astype(np.float32),
            temperature=np.ones(by_row, np.float32),
            sampler_logprobs=np.zeros(tokens, np.float32),
            behaviour_logprobs=np.zeros(tokens, np.float32),
            domain=np.zeros(by_row, np.int32),
            replayed=np.zeros(by_row, bool),
            line_tokens=lines[:, :, :j],
            places=lines,
        )  # type: ignore[arg-type]

    if not abstract:
        return make()
    small = RowShape(1, 1, r, p, c, j)
    example = make() if rows == small else random_batch(small, arch)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((m, b, *leaf.shape[2:]), leaf.dtype), example)


def _over_devices(plan: MemoryPlan, mesh: Mesh) -> RowShape:
    """The plan's rows are those of one device."""
    shards = int(np.prod([mesh.shape[axis] for axis in MESH_AXES["batch"]]))
    return plan.rows._replace(rows=plan.rows.rows * shards, microbatches=plan.num_microbatches)


def _in_dtype(dtype: Any, leaf: Any) -> Any:
    """Frozen weights are kept in the compute dtype, codes and scales as they are."""
    return leaf if is_quantized(leaf) else jax.ShapeDtypeStruct(leaf.shape, dtype)
