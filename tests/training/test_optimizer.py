# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""AdamW against a NumPy float64 version, its schedule against closed forms, and what decays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax.config import ParallelConfig, TrainingConfig
from grpo_jax.parallel.mesh import make_mesh
from grpo_jax.parallel.rules import param_shardings, replicated
from grpo_jax.records import ConfigError
from grpo_jax.training.optimizer import (
    decayed,
    gradient_norm,
    learning_rate_at,
    make_optimizer,
    muon_dimensions,
    optimizer_shardings,
)


def sample_params(dtype=jnp.float32):
    rng = np.random.default_rng(0)
    shapes = {"embedding": (6, 4), "layers": {"query": (2, 4, 3, 2), "query_bias": (2, 3, 2), "mlp_norm": (2, 4)}}
    return jax.tree.map(
        lambda s: jnp.asarray(rng.normal(size=s), dtype), shapes, is_leaf=lambda x: isinstance(x, tuple)
    )


def numpy_adamw(params, gradients, settings, rates):
    """Textbook AdamW with global-norm clipping over a list of gradients, decaying only what `decayed` says."""
    decay = jax.tree.leaves(decayed(params))
    values = [np.float64(leaf) for leaf in jax.tree.leaves(params)]
    first, second = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    for step, (tree, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        grads = [np.float64(leaf) for leaf in jax.tree.leaves(tree)]
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        scale = min(1.0, settings.max_grad_norm / norm) if settings.max_grad_norm else 1.0
        for i, grad in enumerate(grads):
            first[i] = settings.adam_beta1 * first[i] + (1 - settings.adam_beta1) * grad * scale
            second[i] = settings.adam_beta2 * second[i] + (1 - settings.adam_beta2) * (grad * scale) ** 2
            mean = first[i] / (1 - settings.adam_beta1**step)
            root = np.sqrt(second[i] / (1 - settings.adam_beta2**step))
            pull = settings.weight_decay * values[i] if decay[i] else 0.0
            values[i] = values[i] - rate * (mean / (root + settings.adam_epsilon) + pull)
    return jax.tree.unflatten(jax.tree.structure(params), values)


@pytest.mark.parametrize("max_grad_norm", [0.0, 0.5, 1e6])
def test_updates_match_textbook_adamw(max_grad_norm):
    settings = TrainingConfig(
        learning_rate=0.01, weight_decay=0.1, max_grad_norm=max_grad_norm, schedule="linear", warmup_steps=2
    )
    params = sample_params()
    gradients = [jax.tree.map(lambda p, i=i: jnp.sin(p * (i + 1)), params) for i in range(5)]
    optimizer = make_optimizer(settings, 8)
    state, new = optimizer.init(params), params
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, new)
        new = optax.apply_updates(new, updates)
    rates = [0.0, 0.005, 0.01, 0.01 * 5 / 6, 0.01 * 4 / 6]
    expected = numpy_adamw(params, gradients, settings, rates)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), new, expected)


def test_norms_and_biases_do_not_decay():
    params = sample_params()
    assert decayed(params) == {"embedding": True, "layers": {"query": True, "query_bias": False, "mlp_norm": False}}
    optimizer = make_optimizer(TrainingConfig(learning_rate=0.1, weight_decay=0.5), 1)
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    np.testing.assert_allclose(updates["layers"]["query"], -0.05 * params["layers"]["query"], rtol=1e-6)
    assert not np.asarray(updates["layers"]["query_bias"]).any()
    assert not np.asarray(updates["layers"]["mlp_norm"]).any()


def test_moments_and_updates_are_float32_for_bfloat16_parameters():
    params = sample_params(jnp.bfloat16)
    optimizer = make_optimizer(TrainingConfig(), 1)
    state = optimizer.init(params)
    updates, state = optimizer.update(params, state, params)
    floats = [leaf for leaf in jax.tree.leaves((updates, state)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert len(floats) == 3 * len(jax.tree.leaves(params))
    assert {leaf.dtype for leaf in floats} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("schedule", "shape"),
    [
        ("constant", lambda progress: 1.0),
        ("linear", lambda progress: 1 - progress),
        ("cosine", lambda progress: (1 + np.cos(np.pi * progress)) / 2),
    ],
)
@pytest.mark.parametrize("warmup", [0, 4])
def test_rate_warms_up_from_zero_and_follows_its_shape_to_the_end(schedule, shape, warmup):
    rate = learning_rate_at(TrainingConfig(learning_rate=3e-4, schedule=schedule, warmup_steps=warmup), 20)
    for update in range(21):
        expected = update / warmup if update < warmup else shape((update - warmup) / (20 - warmup))
        assert float(rate(update)) == pytest.approx(3e-4 * expected, abs=1e-9)


def test_run_shorter_than_its_warmup_ends_within_it():
    rate = learning_rate_at(TrainingConfig(learning_rate=1.0, schedule="cosine", warmup_steps=10), 4)
    assert float(rate(3)) == pytest.approx(0.3)


def test_gradient_norm_is_taken_before_clipping_and_in_float32():
    gradients = {"a": jnp.full((3,), 4.0, jnp.bfloat16), "b": jnp.full((1,), 1.0)}
    norm = gradient_norm(gradients)
    assert norm.dtype == jnp.float32
    assert float(norm) == pytest.approx(7.0)


@pytest.mark.parametrize("moments_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adamw", "lion", "adafactor", "muon"])
def test_every_optimizer_descends(optimizer, moments_dtype):
    params = sample_params()
    target = jax.tree.map(lambda leaf: leaf + 0.3, params)

    def loss(params):
        return sum(((a - b) ** 2).sum() for a, b in zip(*map(jax.tree.leaves, (params, target)), strict=True))

    # Muon's updates are scaled to a root mean square of 0.2.
    rate = 0.1 if optimizer == "muon" else 0.02
    settings = TrainingConfig(optimizer=optimizer, learning_rate=rate, max_grad_norm=0.0, moments_dtype=moments_dtype)
    rule = make_optimizer(settings, 40)

    @jax.jit
    def step(params, state):
        updates, state = rule.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state, moved = rule.init(params), params
    for _ in range(40):
        moved, state = step(moved, state)
    assert float(loss(moved)) < 0.2 * float(loss(params))
    floats = {leaf.dtype for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.ndim}
    assert floats == {jnp.dtype(moments_dtype)}


def test_bfloat16_moments_follow_a_slow_decay():
    """A second moment that decays by 0.1 % an update halves in 693; rounded to nearest it would not move at all."""
    params = {"layers": {"query": jnp.ones((1, 64, 64))}}
    rule = make_optimizer(TrainingConfig(moments_dtype="bfloat16", max_grad_norm=0.0), 1)
    state = rule.init(params)
    gradient, nothing = params, jax.tree.map(jnp.zeros_like, params)
    update = jax.jit(rule.update)
    _, state = update(gradient, state, params)
    start = float(optax.tree.get(state, "nu")["layers"]["query"].astype(jnp.float32).mean())
    for _ in range(100):
        _, state = update(nothing, state, params)
    found = float(optax.tree.get(state, "nu")["layers"]["query"].astype(jnp.float32).mean())
    assert found / start == pytest.approx(0.999**100, rel=2e-3)


def test_muon_takes_the_layers_matrices_alone():
    params = sample_params()
    dims = muon_dimensions(params)
    assert dims["embedding"] is None
    assert dims["layers"]["query_bias"] is dims["layers"]["mlp_norm"] is None
    assert (dims["layers"]["query"].reduction_axis, dims["layers"]["query"].output_axis) == ((1,), (2, 3))
    # Each layer's update is orthogonal, up to the few Newton-Schulz steps.
    rule = make_optimizer(TrainingConfig(optimizer="muon", learning_rate=1.0, max_grad_norm=0.0), 1)
    updates, _ = rule.update(jax.tree.map(jnp.sin, params), rule.init(params), params)
    for layer in updates["layers"]["query"]:
        singular = np.linalg.svd(np.asarray(layer).reshape(4, 6), compute_uv=False)
        assert singular.max() / singular.min() < 2.5


@pytest.mark.parametrize("name", ["adamw", "lion", "adafactor", "muon"])
def test_states_of_every_optimizer_have_shardings(name):
    mesh = make_mesh(ParallelConfig(fsdp=2, tensor=4))
    names = {"embedding": ("vocab", "embed"), "layers": {"gate": ("layers", "embed", "mlp")}}
    params = {"embedding": jnp.ones((256, 128)), "layers": {"gate": jnp.ones((2, 128, 256))}}
    abstract = jax.eval_shape(lambda: params)
    optimizer = make_optimizer(TrainingConfig(optimizer=name, moments_dtype="bfloat16"), 1)
    shardings = param_shardings(mesh, abstract, names)
    state = jax.jit(
        optimizer.init, out_shardings=optimizer_shardings(optimizer, abstract, shardings, replicated(mesh))
    )(params)
    shapes = {leaf.shape for leaf in jax.tree.leaves(params)}
    like_params = [leaf for leaf in jax.tree.leaves(state) if leaf.shape in shapes]
    assert like_params or name == "adafactor"
    assert all(not leaf.sharding.is_fully_replicated for leaf in like_params)


def test_moments_lie_where_their_parameters_lie():
    mesh = make_mesh(ParallelConfig(fsdp=2, tensor=4))
    names = {"a": ("vocab", "embed"), "final_norm": ("norm",)}
    params = {"a": jnp.ones((8, 4)), "final_norm": jnp.ones(4)}
    abstract = jax.eval_shape(lambda: params)
    optimizer = make_optimizer(TrainingConfig(), 1)
    shardings = param_shardings(mesh, abstract, names)
    state_shardings = optimizer_shardings(optimizer, abstract, shardings, replicated(mesh))
    state = jax.jit(optimizer.init, out_shardings=state_shardings)(params)
    adam = optax.tree.get(state, "mu"), optax.tree.get(state, "nu")
    for moments in adam:
        assert moments["a"].sharding == shardings["a"]
    assert all(
        leaf.sharding == replicated(mesh) for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.integer)
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", -1.0), ("adam_beta2", 1.0), ("adam_epsilon", 0.0), ("warmup_steps", -1), ("schedule", "step")],
)
def test_bad_value_is_named(field, value):
    with pytest.raises(ConfigError, match=f"training.{field}={value}"):
        make_optimizer(TrainingConfig(**{field: value}), 10)
