# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""AdamW, its learning rate and its clipping, from `TrainingConfig`."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float32

from grpo_jax.config import TrainingConfig
from grpo_jax.records import ConfigError


def make_optimizer(settings: TrainingConfig, total_updates: int) -> optax.GradientTransformation:
    """Build clip by global norm, then AdamW (https://arxiv.org/abs/1711.05101) with the configured schedule.

    Gradients and moments are float32 whatever the parameters' dtype: optax itself would take theirs, and a bfloat16
    second moment cannot follow a decay of 0.999. Weight decay leaves norms and biases alone. Updates are float32;
    `optax.apply_updates` casts them to the parameters' dtype, so parameters should be float32 masters.

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
    parts.append(
        optax.adamw(
            learning_rate_at(settings, total_updates),
            b1=settings.adam_beta1,
            b2=settings.adam_beta2,
            eps=settings.adam_epsilon,
            weight_decay=settings.weight_decay,
            mask=decayed,
        )
    )
    inner = optax.chain(*parts)

    def init(params: optax.Params) -> optax.OptState:
        return inner.init(_float32(params))

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        return inner.update(_float32(updates), state, None if params is None else _float32(params))

    return optax.GradientTransformation(init, update)


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
    """Shardings of the optimizer's state: moments lie where their parameters lie, counters at `other`.

    Without this a compiled `init` would replicate the moments, since zeros do not depend on the parameters.

    Args:
        optimizer: As `make_optimizer` returns it.
        abstract_params: `jax.ShapeDtypeStruct` of each parameter.
        shardings: Sharding of each parameter, same nesting.
        other: For everything that is not shaped like the parameters.
    """
    state = jax.eval_shape(optimizer.init, abstract_params)
    return optax.tree.map_params(
        optimizer, lambda _, sharding: sharding, state, shardings, transform_non_params=lambda _: other
    )


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
    if settings.optimizer != "adamw":
        raise ConfigError(f"training.optimizer={settings.optimizer} is unknown; use adamw")
