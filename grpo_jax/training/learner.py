# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From judged groups to new weights: packs the updates of a step, runs the compiled programs, keeps the reference."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from grpo_jax.config import RunConfig
from grpo_jax.models.transformer import Params
from grpo_jax.objective.advantages import AdvantageMethod
from grpo_jax.objective.presets import resolve
from grpo_jax.parallel.rules import MESH_AXES, batch_multiple, replicated
from grpo_jax.parallel.transfer import fetch, place
from grpo_jax.records import RolloutGroup
from grpo_jax.rollout.group_filter import Judged
from grpo_jax.rollout.packing import TrainBatch, make_plan, pack
from grpo_jax.rollout.session import Session
from grpo_jax.training.optimizer import learning_rate_at, make_optimizer, optimizer_shardings
from grpo_jax.training.scoring import score
from grpo_jax.training.state import TrainState
from grpo_jax.training.update import ResponseStatistics, UpdateOutput, update


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a step's updates reported.

    Attributes:
        losses: Loss of each update.
        grad_norms: Global gradient norm of each update, before clipping.
        learning_rate: Of the last update.
        statistics: Sums over the trained tokens of each completion, [P, G], over the last epoch's updates.
        tokens: Real prompt and completion tokens that went through the updates.
    """

    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    learning_rate: float
    statistics: ResponseStatistics
    tokens: int


class NonFiniteError(RuntimeError):
    """A loss or gradient of the run became NaN or infinite; nothing of that step is saved."""


class Learner:
    """The training half of a step: programs, objective, optimizer and frozen reference."""

    def __init__(self, config: RunConfig, session: Session, total_steps: int):
        """Prepare programs; each compiles when first used.

        Args:
            config: The run.
            session: The model; its starting weights become the reference where KL is on.
            total_steps: Steps of the outer loop, which schedules end at.
        """
        self._config, self._session = config, session
        self._objective = resolve(config.objective)
        self._updates_per_step = config.training.minibatches * config.training.epochs
        total_updates = total_steps * self._updates_per_step
        self._optimizer = make_optimizer(config.training, total_updates)
        self._schedule = learning_rate_at(config.training, total_updates)
        self._plan = make_plan(
            max_prompt_tokens=config.data.max_prompt_tokens,
            max_completion_tokens=max(config.max_completion_tokens_of(domain) for domain in config.domains),
            microbatch_tokens=config.training.microbatch_tokens,
            row_multiple=batch_multiple(session.mesh),
            aggregation=self._objective.aggregation,
            pad_id=session.tokenizer.pad_id,
        )
        self._reference = None
        if self._objective.kl_coefficient > 0:
            # A real copy: the update donates the policy's own buffers.
            self._reference = jax.tree.map(lambda leaf: jnp.array(leaf, session.dtype, copy=True), session.params)
        self._score = jax.jit(partial(score, session.graph, dtype=session.dtype))
        self._update = jax.jit(
            partial(
                update,
                session.graph,
                self._optimizer,
                objective=self._objective,
                dtype=session.dtype,
                remat=config.model.remat == "block",
            ),
            donate_argnames="state",
            # Left to the compiler, the new weights may lie elsewhere than the old, and the next step compiles again.
            out_shardings=(jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state()), None),
        )

    @property
    def advantage_method(self) -> AdvantageMethod:
        """How the objective turns rewards into advantages."""
        return self._objective.advantage

    def abstract_state(self) -> TrainState:
        """Shapes and shardings of the state, for restoring a checkpoint."""
        shapes, other = self._session.shapes, replicated(self._session.mesh)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, shapes)
        optimizer = optimizer_shardings(self._optimizer, shapes, shardings, other)
        placement = TrainState(shardings, optimizer, cast(Any, other))
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(partial(_initial, self._optimizer), shapes),
            placement,
        )

    def initial_state(self, params: Params) -> TrainState:
        """State before the first update. `params` is donated."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.abstract_state())
        return jax.jit(partial(_initial, self._optimizer), donate_argnums=0, out_shardings=shardings)(params)

    def learn(
        self, state: TrainState, groups: Sequence[RolloutGroup], judged: Judged, step: int
    ) -> tuple[TrainState, Learned]:
        """Run the updates of one step. `state` is donated.

        Args:
            state: Weights that sampled the groups.
            groups: Whole groups.
            judged: Their advantages.
            step: For the message of a failure.

        Raises:
            NonFiniteError: A loss or gradient norm is not finite; names the step and a parameter.
        """
        parts = np.array_split(np.arange(len(groups)), self._config.training.minibatches)
        batches = [self._pack(groups, judged, part) for part in parts]
        references = [self._score(self._reference, batch) if self._reference else None for batch in batches]
        on_policy = self._updates_per_step == 1
        old = [None if on_policy else self._score(state.params, batch) for batch in batches]
        outputs: list[UpdateOutput] = []
        for _ in range(self._config.training.epochs):
            for batch, old_logprobs, reference in zip(batches, old, references, strict=True):
                state, output = self._update(
                    state=state, batch=batch, old_logprobs=old_logprobs, reference_logprobs=reference
                )
                outputs.append(fetch(output))
                self._check_finite(state, outputs[-1], step)
        last_epoch = outputs[-len(parts) :]
        statistics = [
            self._by_group(output.responses, len(part)) for part, output in zip(parts, last_epoch, strict=True)
        ]
        return state, Learned(
            losses=tuple(float(output.loss) for output in outputs),
            grad_norms=tuple(float(output.grad_norm) for output in outputs),
            learning_rate=float(np.asarray(self._schedule(int(state.num_updates) - 1))),
            statistics=jax.tree.map(lambda *leaves: np.concatenate(leaves), *statistics),
            tokens=self._config.training.epochs * _real_tokens(groups),
        )

    def _pack(self, groups: Sequence[RolloutGroup], judged: Judged, part: np.ndarray) -> TrainBatch:
        chosen = [groups[g] for g in part]
        temperatures = [self._config.temperature_of(group.prompt.problem.domain) for group in chosen]
        batch = pack(chosen, judged.advantages[part], judged.trained[part], temperatures, self._plan)
        by_row = NamedSharding(self._session.mesh, PartitionSpec(None, MESH_AXES["batch"]))
        return place(batch, by_row)

    def _by_group(self, responses: ResponseStatistics, num_groups: int) -> ResponseStatistics:
        """Statistics [M, B, R] as [groups, members]; the rows that were added as padding are the last."""
        shape = (num_groups, self._config.sampling.group_size)
        return jax.tree.map(lambda leaf: leaf.reshape(-1)[: shape[0] * shape[1]].reshape(shape), responses)

    def _check_finite(self, state: TrainState, output: UpdateOutput, step: int) -> None:
        if np.isfinite(output.loss) and np.isfinite(output.grad_norm):
            return
        bad = [
            jax.tree_util.keystr(path, simple=True, separator=".")
            for path, leaf in jax.tree.leaves_with_path(state.params)
            if not bool(jnp.isfinite(leaf).all())
        ]
        where = f"first non-finite parameter after it: {bad[0]}" if bad else "all parameters are still finite"
        raise NonFiniteError(
            f"step {step}: loss {float(output.loss)}, gradient norm {float(output.grad_norm)}; {where}. "
            "Lower training.learning_rate, or look at this step's completions."
        )


def _initial(optimizer: optax.GradientTransformation, params: Params) -> TrainState:
    return TrainState(params, optimizer.init(params), jnp.int32(0))


def _real_tokens(groups: Sequence[RolloutGroup]) -> int:
    return sum(
        len(group.prompt.token_ids) + sum(len(rollout.completion.token_ids) for rollout in group.rollouts)
        for group in groups
    )
