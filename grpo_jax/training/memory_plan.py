# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run will hold in a device's memory, worked out from shapes alone: nothing is loaded, nothing compiled.

A step has two peaks. While sampling: the trained state, the reference, the serving copy of the weights, the KV caches
and one chunk's logits. While learning: state and reference, gradients, and the activations of one microbatch. The
update's terms follow XLA's own account of the compiled program (`memory_analysis`), against which they are tested.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from grpo_jax.config import RunConfig
from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import adapters_of, lora_spec
from grpo_jax.models.partwise_attention import TILE as ATTENTION_TILE
from grpo_jax.models.quantization import is_quantized, quantization_kind
from grpo_jax.models.transformer import Params, abstract_params
from grpo_jax.objective.presets import resolve
from grpo_jax.objective.vocabulary_tiles import tile_shape
from grpo_jax.parallel.device_memory import GIBIBYTE
from grpo_jax.parallel.rules import MESH_AXES, param_shardings
from grpo_jax.rollout.packing import RowShape, make_plan, shape_of
from grpo_jax.sampling.lane_memory import batch_shape, lane_memory
from grpo_jax.training.optimizer import make_optimizer, optimizer_shardings


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes a device, by what they are for.

    Attributes:
        state: Held all the time: weights, optimizer, reference.
        sampling: Beside the state while sampling.
        update: Beside the state while learning.
        rows: The largest microbatch.
        num_microbatches: In one update of the longest prompts and completions.
        num_parameters: Of the model.
        num_trained: Of these and the adapters, what the optimizer moves.
        host: Moments in the host's memory, where they are kept there.
        slots: Prompts sampled at once, over all devices.
        lanes: Samples of each of them at once.
        together: Whether sampling keeps what it holds while a step is learned from, as `rollout.max_staleness` asks.
        apart: Whether other devices sample, as `parallel.rollout_devices` asks.
        served: Beside the state before a step's sampling, where others sample: the serving weights on their way.
    """

    state: dict[str, int]
    sampling: dict[str, int]
    update: dict[str, int]
    rows: RowShape
    num_microbatches: int
    num_parameters: int
    num_trained: int
    host: int
    slots: int
    lanes: int
    together: bool = False
    apart: bool = False
    served: int = 0

    @property
    def peak_bytes(self) -> int:
        """The higher of the two peaks, or both together; where other devices sample, of either kind."""
        parts = sum(self.sampling.values()), sum(self.update.values())
        if self.apart:
            return max(parts[0], sum(self.state.values()) + max(parts[1], self.served))
        return sum(self.state.values()) + (sum(parts) if self.together else max(parts))

    def free_for_sampling(self, limit: int) -> int:
        """What is left of so many bytes beside all that stays while sampling."""
        if self.apart:
            return limit
        return limit - sum(self.state.values()) - (sum(self.update.values()) if self.together else 0)


def plan_memory(
    config: RunConfig,
    arch: Architecture,
    mesh: AbstractMesh,
    limit: int | None = None,
    rollout_mesh: AbstractMesh | None = None,
) -> MemoryPlan:
    """Work out the memory of the longest prompts and completions that the config allows.

    Args:
        config: The run.
        arch: Its model.
        mesh: Sizes of the axes; devices are not needed.
        limit: Bytes of a device, which lanes are chosen by where the config leaves them open; None takes all samples.
        rollout_mesh: Of the devices that sample, with `parallel.rollout_devices`; None are the same.
    """
    apart = config.parallel.rollout_devices is not None
    width = jnp.dtype(config.model.dtype).itemsize
    batch_shards = prod(mesh.shape[axis] for axis in MESH_AXES["batch"])
    _, shapes, names = abstract_params(arch)
    spec = lora_spec(config.model.lora)
    trained, trained_names = shapes, names
    if spec is not None:
        _, with_adapters, names_with = abstract_params(arch, lora=spec)
        trained, trained_names = adapters_of(with_adapters), adapters_of(names_with)
    shardings = param_shardings(mesh, trained, trained_names)  # type: ignore[arg-type]
    own = _local_size(trained, shardings)
    objective = resolve(config.objective, config.domains)
    moments = _moments_bytes(config, trained, shardings, mesh)
    on_host = config.training.moments_on_host
    state = {"trained weights (float32)": 4 * own, "optimizer": 0 if on_host else moments}
    kind = quantization_kind(config.model.quantization)
    if spec is not None or objective.uses_reference:
        _, kept, kept_names = abstract_params(arch, quantization=kind)
        size = _frozen_bytes(kept, param_shardings(mesh, kept, kept_names), width)  # type: ignore[arg-type]
        state[f"{'reference' if spec is None else 'frozen'} weights ({kind or config.model.dtype})"] = size
    rows, num_microbatches = _largest_rows(config, batch_shards)
    plan = MemoryPlan(
        state=state,
        sampling={},
        update=_update_bytes(config, arch, mesh, width, own, rows, num_microbatches)
        | ({"moments from the host": moments} if on_host else {}),
        rows=rows,
        num_microbatches=num_microbatches,
        num_parameters=arch.num_parameters,
        num_trained=sum(leaf.size for leaf in jax.tree.leaves(trained)),
        host=moments if on_host else 0,
        slots=0,
        lanes=0,
        together=config.rollout.max_staleness > 0 and not apart,
        apart=apart,
        served=width * (arch.num_parameters // mesh.shape["tensor"]) if apart else 0,
    )
    free = None if limit is None else plan.free_for_sampling(limit)
    sampling, slots, lanes = _sampling_bytes(config, arch, width, rollout_mesh or mesh, free)
    return replace(plan, sampling=sampling, slots=slots, lanes=lanes)


def remedies(config: RunConfig, plan: MemoryPlan) -> list[str]:
    """Settings that lower the higher peak, the cheapest first."""
    found = []
    if sum(plan.update.values()) >= sum(plan.sampling.values()):
        if config.model.remat != "block":
            found.append("model.remat=block")
        if plan.rows.rows > 1:
            found.append(f"training.microbatch_tokens={config.training.microbatch_tokens // 2}")
    else:
        if plan.slots * plan.lanes > 1:
            found.append(f"sampling.lanes={plan.slots * plan.lanes // 2}")
        found.append("sampling.max_completion_tokens: shorter completions")
    if plan.together:
        found.append("rollout.max_staleness=0")
    if config.training.moments_dtype == "float32":
        found.append("training.moments_dtype=bfloat16")
    if not config.training.moments_on_host:
        found.append("training.moments_on_host=true")
    if config.model.lora is None:
        found.append("model.lora=...: train adapters alone")
    elif config.model.quantization == "none":
        found.append("model.quantization=nf4")
    return [*found, "parallel.fsdp: more devices"]


def memory_settings(config: RunConfig) -> dict[str, object]:
    """Fields that decide what an update needs, with their values, the cheapest to lower first."""
    return {
        "training.microbatch_tokens": config.training.microbatch_tokens,
        "sampling.max_completion_tokens": config.sampling.max_completion_tokens,
        "data.max_prompt_tokens": config.data.max_prompt_tokens,
    }


def verdict(config: RunConfig, plan: MemoryPlan, limit: int) -> str:
    """One line: whether it fits, and what to change where it does not."""
    peak, share = plan.peak_bytes / GIBIBYTE, plan.peak_bytes / limit
    if share <= 1:
        return f"fits: peak {peak:.2f} GiB of {limit / GIBIBYTE:.2f} GiB a device ({share:.0%})"
    return (
        f"does not fit: peak {peak:.2f} GiB, but a device has {limit / GIBIBYTE:.2f} GiB; "
        f"try {', '.join(remedies(config, plan))}"
    )


def _local_size(shapes: Params, shardings: Any) -> int:
    """Elements of one device's share."""
    local = jax.tree.map(lambda leaf, sharding: prod(sharding.shard_shape(leaf.shape)), shapes, shardings)
    return sum(jax.tree.leaves(local))


def _frozen_bytes(shapes: Params, shardings: Any, width: int) -> int:
    """Bytes of one device's share of frozen weights: codes and scales as they are, all else in the compute dtype."""

    def of(leaf: Any, placed: Any) -> int:
        if not is_quantized(leaf):
            return width * _local_size(leaf, placed)
        return sum(leaf[part].dtype.itemsize * _local_size(leaf[part], placed[part]) for part in leaf)

    sizes = jax.tree.map(of, shapes, shardings, is_leaf=is_quantized)
    return sum(jax.tree.leaves(sizes))


def _moments_bytes(config: RunConfig, trained: Params, shardings: Any, mesh: AbstractMesh) -> int:
    optimizer = make_optimizer(config.training, 1)
    state = jax.eval_shape(optimizer.init, trained)
    whole = NamedSharding(mesh, PartitionSpec())  # type: ignore[arg-type]
    placed = optimizer_shardings(optimizer, trained, shardings, whole)
    sizes = jax.tree.map(
        lambda leaf, sharding: prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize, state, placed
    )
    return sum(jax.tree.leaves(sizes))


def _largest_rows(config: RunConfig, batch_shards: int) -> tuple[RowShape, int]:
    """The shape of the longest update: rows of one device's microbatch and the number of microbatches."""
    plan = make_plan(
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_completion_tokens=config.longest_completion_tokens,
        microbatch_tokens=config.training.microbatch_tokens,
        row_multiple=batch_shards,
        aggregation="token_mean",
        pad_id=0,
    )
    num_groups = -(-config.data.prompts_per_step // config.training.minibatches)
    num_replayed = -(-config.replay.groups_per_step // config.training.minibatches)
    group_size = config.sampling.group_size
    sizes = [group_size] * num_groups + [config.replay.places(group_size)] * num_replayed
    prompt, tokens = plan.prompt_buckets[-1], plan.completion_buckets[-1]
    rows = shape_of(sizes, prompt, tokens, plan)
    return rows._replace(rows=rows.rows // batch_shards), rows.microbatches


def _update_bytes(
    config: RunConfig,
    arch: Architecture,
    mesh: AbstractMesh,
    width: int,
    own: int,
    rows: RowShape,
    num_microbatches: int,
) -> dict[str, int]:
    tensor = mesh.shape["tensor"]
    tokens = rows.rows * (rows.prompt_tokens + rows.lines * rows.response_tokens)
    layer, kept = (width * tokens * size for size in _layer_values(config, arch, tensor))
    if config.model.remat in ("dots", "attention"):
        # Attention's log-sum-exp, in float32 and by head.
        kept += 4 * tokens * arch.num_heads // tensor
    # Scores of one layer's queries with the keys of a tile of each part, their weights and gradients, while it is done.
    keys = min(rows.prompt_tokens, ATTENTION_TILE) + min(rows.response_tokens, ATTENTION_TILE)
    scores = 3 * 4 * tokens * keys * arch.num_heads // tensor
    saved = arch.num_layers * kept
    responses = rows.rows * rows.responses * rows.response_tokens
    vocabulary = -(-arch.vocab_size // tensor)
    tokens_of_tile, ids_of_tile = tile_shape(responses, vocabulary)
    # Logits and their gradient; the head's own gradient, and of every token its state and that state's gradient.
    head = vocabulary * arch.width if own >= vocabulary * arch.width else 0
    tiles = 2 * 4 * tokens_of_tile * ids_of_tile + 4 * head + (4 + 2 * width) * responses * arch.width
    compute_copy = 0 if width == 4 else width * own
    return {
        # The sum over microbatches, and the part of the one at hand.
        "gradients (float32)": 4 * own * (2 if num_microbatches > 1 else 1),
        **({f"weights in {config.model.dtype}": compute_copy} if compute_copy else {}),
        f"activations kept of {tokens} tokens": saved,
        "logits of a tile, or one layer's backward pass": max(
            tiles, scores + (0 if config.model.remat == "none" else layer)
        ),
        "batch and logprobs": 30 * responses * num_microbatches,
    }


def _layer_values(config: RunConfig, arch: Architecture, tensor: int) -> tuple[int, int]:
    """Values a token that a layer's backward pass reads, and how many of them are kept for it from the forward pass."""
    heads = (2 * arch.num_heads + 2 * arch.num_kv_heads) * arch.head_size // tensor
    # Queries, keys, values and attention's result, the four MLP arrays and eight of the stream.
    layer = 4 * arch.mlp_size // tensor + 8 * arch.width + heads + arch.num_heads * arch.head_size // tensor
    if config.model.lora is not None:
        # What an adapter adds stands beside the product it is added to, forwards and backwards.
        layer += 2 * sum(_outputs(arch, name) for name in config.model.lora.targets) // tensor
    match config.model.remat:
        case "none":
            return layer, layer
        case "dots":
            products = heads + 2 * arch.mlp_size // tensor + (2 if arch.post_norms else 1) * arch.width
            return layer, arch.width + products
        case "attention":
            return layer, arch.width + arch.num_heads * arch.head_size // tensor
        case "block":
            return layer, arch.width


def _outputs(arch: Architecture, name: str) -> int:
    """Size of what one of a layer's weights gives for a token."""
    if name in ("gate", "up"):
        return arch.mlp_size
    if name in ("output", "down"):
        return arch.width
    return arch.head_size * (arch.num_heads if name == "query" else arch.num_kv_heads)


def _sampling_bytes(
    config: RunConfig, arch: Architecture, width: int, mesh: AbstractMesh, free: int | None
) -> tuple[dict[str, int], int, int]:
    """What sampling holds beside the state; and slots over all devices, and lanes of each."""
    # Whole over data and fsdp: every weight is read for every token.
    serving = width * (arch.num_parameters // mesh.shape["tensor"])
    memory = lane_memory(
        arch,
        mesh,
        itemsize=width,
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_completion_tokens=config.longest_completion_tokens,
        chunk_tokens=config.sampling.chunk_tokens,
        free_bytes=0 if free is None else free - serving,
    )
    prompts, samples, given = config.data.prompts_per_step, config.sampling.group_size, config.sampling
    lanes = given.lanes
    if lanes is None and free is not None:
        lanes = memory.lanes(prompts, samples, given.slots)
    num_slots, num_lanes = batch_shape(prompts, samples, given.slots, lanes)
    here = -(-num_slots // memory.num_shards)
    held = {
        f"serving weights ({config.model.dtype})": serving,
        f"caches of {here} prompts": here * memory.slot_bytes,
        f"caches and logits of {here * num_lanes} samples": here * num_lanes * memory.lane_bytes,
    }
    return held, num_slots, num_lanes
