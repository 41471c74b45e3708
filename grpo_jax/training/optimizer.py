# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The optimizer, its learning rate and its clipping, from `TrainingConfig`."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float32, UInt32

from grpo_jax.config import TrainingConfig
from grpo_jax.records import ConfigError

_ADAM_UPDATE_RMS = 0.2
"""Root mean square of typical AdamW updates, https://arxiv.org/abs/2502.16982."""


def make_optimizer(settings: TrainingConfig, total_updates: int) -> optax.GradientTransformation:
    """Build clip by global norm, then the configured optimizer with the configured schedule.

    AdamW: https://arxiv.org/abs/1711.05101. Lion: https://arxiv.org/abs/2302.06675, with `adam_beta1` and `adam_beta2`
    as its two rates. Adafactor: https://arxiv.org/abs/1804.04235, without relative step sizes. Muon:
    https://kellerjordan.github.io/posts/muon/ for the layers' matrices, their updates scaled to AdamW's size
    (https://arxiv.org/abs/2502.16982), AdamW for the rest.

    Gradients and updates are float32 whatever the parameters' dtype: optax itself would take theirs, and a bfloat16
    second moment cannot follow a decay of 0.999 unless it is rounded stochastically. Weight decay leaves norms and
    biases alone. `optax.apply_updates` casts updates to the parameters' dtype, so parameters should be float32 masters.

    Args:
        settings: Rates and limits.
        total_updates: Optimizer updates of the whole run: steps x minibatches x epochs.

    Returns:
        A transformation whose `update` needs the parameters as third argument.

    Raises:
        ConfigError: A value is out of range.
    """
    _check(settings)
    parts = [optax.clip_by_global_norm(settings.max_grad_norm)] if settings.max_grad_norm else []
    inner = optax.chain(*parts, _rule(settings, learning_rate_at(settings, total_updates)))
    if settings.moments_dtype == "bfloat16":
        inner = with_bfloat16_state(inner)

    def init(params: optax.Params) -> optax.OptState:
        return inner.init(_float32(params))

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        return inner.update(_float32(updates), state, None if params is None else _float32(params))

    return optax.GradientTransformation(init, update)


def _rule(settings: TrainingConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    decay = settings.weight_decay
    if settings.optimizer == "adamw":
        return optax.adamw(
            rate,
            b1=settings.adam_beta1,
            b2=settings.adam_beta2,
            eps=settings.adam_epsilon,
            weight_decay=decay,
            mask=decayed,
        )
    if settings.optimizer == "lion":
        return optax.lion(rate, b1=settings.adam_beta1, b2=settings.adam_beta2, weight_decay=decay, mask=decayed)
    if settings.optimizer == "adafactor":
        return optax.adafactor(
            rate, multiply_by_parameter_scale=False, weight_decay_rate=decay or None, weight_decay_mask=decayed
        )
    if settings.optimizer == "muon":
        return optax.contrib.muon(
            rate,
            weight_decay=decay,
            weight_decay_mask=decayed,
            adam_b1=settings.adam_beta1,
            adam_b2=settings.adam_beta2,
            adam_weight_decay=decay,
            muon_weight_dimension_numbers=muon_dimensions,
            consistent_rms=_ADAM_UPDATE_RMS,
        )
    raise ConfigError(f"training.optimizer={settings.optimizer} is unknown; use adamw, lion, adafactor or muon")


def muon_dimensions(params: optax.Params) -> Any:
    """Which dims of each parameter make its matrix: inputs and outputs of the layers' weights, None for all others."""

    def of(path: tuple[Any, ...], leaf: Any) -> optax.contrib.MuonDimensionNumbers | None:
        names = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
        if names[0] != "layers" or leaf.ndim < 3 or names[-1].endswith(("norm", "bias")):
            return None
        # The output projection takes heads in; the stacked layers are a batch of matrices.
        num_inputs = 2 if names[-1] in ("output", "output_lora_a") else 1
        dims = tuple(range(1, leaf.ndim))
        return optax.contrib.MuonDimensionNumbers(dims[:num_inputs], dims[num_inputs:])

    return jax.tree.map_with_path(of, params)


def with_bfloat16_state(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Keep the float32 arrays of an optimizer's state in bfloat16 between updates, rounded stochastically.

    Rounding to nearest would leave a second moment that decays by 0.1 % an update where it is, since bfloat16 steps
    are 0.4 to 0.8 %; rounding up or down by lot is right on average. The lots are a function of the update's number.
    """

    def init(params: optax.Params) -> tuple[Array, optax.OptState]:
        return jnp.int32(0), jax.tree.map(_narrow, inner.init(params))

    def update(
        updates: optax.Updates, state: tuple[Array, optax.OptState], params: optax.Params | None = None
    ) -> tuple[optax.Updates, tuple[Array, optax.OptState]]:
        count, narrow = state
        changes, wide = inner.update(updates, jax.tree.map(_widen, narrow), params)
        leaves, structure = jax.tree.flatten(wide)
        rounded = [_round_by_lot(leaf, count, number) for number, leaf in enumerate(leaves)]
        return changes, (count + 1, jax.tree.unflatten(structure, rounded))

    return optax.GradientTransformation(init, cast(optax.TransformUpdateFn, update))


def _narrow(leaf: Array) -> Array:
    return leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 and leaf.ndim else leaf


def _widen(leaf: Array) -> Array:
    return leaf.astype(jnp.float32) if leaf.dtype == jnp.bfloat16 else leaf


def _round_by_lot(leaf: Array, count: Array, number: int) -> Array:
    if leaf.dtype != jnp.float32 or not leaf.ndim:
        return leaf
    # bfloat16 is the upper half of float32: adding a random lower half carries with the probability of its value.
    bits = jax.lax.bitcast_convert_type(leaf, jnp.uint32) + (_lots(leaf.shape, count, number) & jnp.uint32(0xFFFF))
    return jax.lax.bitcast_convert_type((bits >> 16).astype(jnp.uint16), jnp.bfloat16)


def _lots(shape: tuple[int, ...], count: Array, number: int) -> UInt32[Array, "..."]:
    """Well-mixed bits for each element: a hash of its place, elementwise so that it fuses and takes no memory.

    The mixing steps are those of MurmurHash3's finaliser; `jax.random` would hold arrays of the leaf's size.
    """
    bits = count.astype(jnp.uint32) * jnp.uint32(0x9E3779B9) + jnp.uint32(number) * jnp.uint32(0x85EBCA77)
    for dim in range(len(shape)):
        bits = _mixed(bits + jax.lax.broadcasted_iota(jnp.uint32, shape, dim))
    return bits


def _mixed(bits: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    return bits ^ (bits >> 16)


def learning_rate_at(settings: TrainingConfig, total_updates: int) -> optax.Schedule:
    """Learning rate as a function of the number of updates already made.

    Linear from 0 over `warmup_steps` updates (so the first of them has rate 0, as the schedulers of `transformers` and
    thus TRL do), then `schedule` over the rest; `linear` and `cosine` are 0 after the last update. A run shorter than
    its warmup ends within it.
    """
    peak, warmup = settings.learning_rate, settings.warmup_steps
    rest = max(total_updates - warmup, 1)
    if settings.schedule == "constant":
        after = optax.constant_schedule(peak)
    elif settings.schedule == "linear":
        after = optax.linear_schedule(peak, 0.0, rest)
    elif settings.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, rest)
    else:
        raise ConfigError(f"training.schedule={settings.schedule} is unknown; use constant, linear or cosine")
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup]) if warmup else after


def gradient_norm(gradients: optax.Updates) -> Float32[Array, ""]:
    """Global L2 norm in float32, before any clipping: what `objective/grad_norm` reports."""
    return optax.tree.norm(_float32(gradients))


def decayed(params: optax.Params) -> Any:
    """True for the leaves that weight decay shrinks: all but those whose name ends in `norm` or `bias`.

    The name decides, not the number of dims: stacked layers and heads give a bias three.
    """
    return jax.tree.map_with_path(
        lambda path, _: not jax.tree_util.keystr(path[-1:], simple=True).endswith(("norm", "bias")), params
    )


def optimizer_shardings(
    optimizer: optax.GradientTransformation, abstract_params: Any, shardings: Any, other: jax.sharding.Sharding
) -> Any:
    """Shardings of the optimizer's state: moments lie where their parameters lie, all else at `other`.

    Without this a compiled `init` would replicate the moments, since zeros do not depend on the parameters.

    Args:
        optimizer: As `make_optimizer` returns it.
        abstract_params: `jax.ShapeDtypeStruct` of each parameter.
        shardings: Sharding of each parameter, same nesting.
        other: For everything that is not shaped like the parameters, Adafactor's row and column sums among it.
    """
    by_path = {
        path: (leaf.shape, sharding)
        for (path, leaf), sharding in zip(
            jax.tree.leaves_with_path(abstract_params), jax.tree.leaves(shardings), strict=True
        )
    }

    def of(path: tuple[Any, ...], leaf: Any) -> Any:
        # A moment stands under its parameter's path, inside whatever the optimizer wraps around it.
        for start in range(len(path)):
            shape, sharding = by_path.get(path[start:], (None, None))
            if shape == leaf.shape:
                return sharding
        return other

    return jax.tree.map_with_path(of, jax.eval_shape(optimizer.init, abstract_params))


def _float32(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def _check(settings: TrainingConfig) -> None:
    for name in ("adam_beta1", "adam_beta2"):
        if not 0 <= getattr(settings, name) < 1:
            raise ConfigError(f"training.{name}={getattr(settings, name)} must be in [0, 1)")
    for name in ("learning_rate", "weight_decay", "max_grad_norm", "warmup_steps"):
        if getattr(settings, name) < 0:
            raise ConfigError(f"training.{name}={getattr(settings, name)} must be at least 0")
    if settings.adam_epsilon <= 0:
        raise ConfigError(f"training.adam_epsilon={settings.adam_epsilon} must be above 0")
