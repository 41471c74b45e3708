# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""From judged groups to new weights: packs the updates of a step, runs the compiled programs, keeps the reference."""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding

from grpo_jax.config import Domain, RunConfig
from grpo_jax.models.lora import fresh_adapters, join
from grpo_jax.models.transformer import Params
from grpo_jax.objective.domain_terms import domain_terms
from grpo_jax.objective.kl_controller import KlController
from grpo_jax.objective.presets import ResolvedObjective, resolve
from grpo_jax.parallel.compile_ahead import CompileAhead, shapes_of
from grpo_jax.parallel.rules import batch_multiple, replicated
from grpo_jax.parallel.transfer import fetch, place
from grpo_jax.records import RolloutGroup
from grpo_jax.rollout.credit import check_credit
from grpo_jax.rollout.group_filter import Judged, judge
from grpo_jax.rollout.packing import RowShape, make_plan
from grpo_jax.rollout.replay import ReplayedGroup
from grpo_jax.rollout.session import Session
from grpo_jax.training.learner_programs import LearnerPrograms
from grpo_jax.training.minibatches import Minibatches
from grpo_jax.training.nonfinite import NonFiniteError, NonFiniteUpdate, problem_rows, write_dump
from grpo_jax.training.optimizer import learning_rate_at, make_optimizer, optimizer_shardings
from grpo_jax.training.state import TrainState
from grpo_jax.training.update import ResponseStatistics, UpdateInputs, UpdateOutput
from grpo_jax.training.update_shapes import batch_shapes, next_rows, rows_of

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a step's updates reported.

    Attributes:
        judged: The advantages that were learned from.
        kl_factor: What the KL coefficients were multiplied by; 1 without an adaptive KL.
        losses: Loss of each update.
        grad_norms: Global gradient norm of each update, before clipping.
        learning_rate: Of the last update.
        statistics: Sums over the trained tokens of each fresh completion, [P, G], over the last epoch's updates.
        replayed: The same of each place for a replayed completion, [replayed groups, places].
        tokens: Real prompt and completion tokens that went through the updates.
        skipped: Updates that were not made, since their loss or gradient was not finite. `losses` and `grad_norms` are
            without them, and the statistics of their completions are 0.
    """

    judged: Judged
    kl_factor: float
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    learning_rate: float
    statistics: ResponseStatistics
    replayed: ResponseStatistics
    tokens: int
    skipped: int = 0


class Learner:
    """The training half of a step: programs, objective, optimizer and frozen reference."""

    def __init__(self, config: RunConfig, session: Session, total_steps: int, dumps: Path | None = None):
        """Prepare programs; each compiles when first used.

        Args:
            config: The run.
            session: The model; its starting weights become the reference where KL is on.
            total_steps: Steps of the outer loop, which schedules end at.
            dumps: Folder for what is known of updates that are not finite; None writes nothing.
        """
        self._config, self._session, self._dumps = config, session, dumps
        self._objective = resolve(config.objective, config.domains)
        check_credit(config.rollout, self._objective)
        self._kl = KlController(config.objective.kl_target, config.objective.kl_horizon)
        self._updates_per_step = config.training.minibatches * config.training.epochs
        total_updates = total_steps * self._updates_per_step
        self._optimizer = make_optimizer(config.training, total_updates)
        self._schedule = learning_rate_at(config.training, total_updates)
        self._plan = make_plan(
            max_prompt_tokens=config.data.max_prompt_tokens,
            max_completion_tokens=config.longest_completion_tokens,
            microbatch_tokens=config.training.microbatch_tokens,
            row_multiple=batch_multiple(session.mesh),
            aggregation=self._objective.aggregation,
            pad_id=session.tokenizer.pad_id,
            tags=session.tags,
        )
        self._frozen: Params = session.params if session.lora else {}
        self._reference = None
        if self._objective.uses_reference:
            # A real copy where all weights are trained: the update donates the policy's own buffers.
            copied = jax.jit(partial(_copied, session.dtype), out_shardings=_shardings_of(session.params))
            self._reference = self._frozen or copied(session.params)
        self._programs = LearnerPrograms(config, session, self._objective, self._optimizer, self.abstract_state())
        self._row_shapes: tuple[RowShape, ...] = ()

    @property
    def objective(self) -> ResolvedObjective:
        """The run's objective with nothing left open."""
        return self._objective

    @property
    def num_scorings(self) -> int:
        """Forward passes over all tokens of a step beside its updates: of the reference, of the old policy."""
        return int(self._objective.uses_reference) + int(not self._on_policy)

    @property
    def _on_policy(self) -> bool:
        """The policy before an update is the one that is updated, so it need not be scored."""
        kl_in_reward = self._objective.kl_in_reward and self._objective.uses_reference
        return self._updates_per_step == 1 and not kl_in_reward

    def abstract_state(self) -> TrainState:
        """Shapes and shardings of the state, for restoring a checkpoint."""
        shapes, other = self._session.trained_shapes, replicated(self._session.mesh)
        shardings = _shardings_of(shapes)
        optimizer = optimizer_shardings(self._optimizer, shapes, shardings, other)
        if self._config.training.moments_on_host:
            optimizer = jax.tree.map(_on_host, optimizer, jax.eval_shape(self._optimizer.init, shapes))
        placement = TrainState(shardings, optimizer, cast(Any, other))
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(partial(_initial, self._optimizer), shapes),
            placement,
        )

    def initial_state(self, params: Params) -> TrainState:
        """State before the first update. `params` is donated, unless adapters are trained beside it."""
        shardings = _shardings_of(self.abstract_state())
        if self._session.lora:
            key = jax.random.key(self._config.seed)
            params = jax.jit(partial(fresh_adapters, self._session.trained_shapes), out_shardings=shardings.params)(key)
        return jax.jit(partial(_initial, self._optimizer), donate_argnums=0, out_shardings=shardings)(params)

    def policy(self, state: TrainState) -> Params:
        """All weights of the policy, adapters among them where there are any; no copy."""
        return join(self._frozen, state.params)

    def compile_ahead(self, thread: CompileAhead, longest_prompt: int) -> None:
        """Have the programs compiled that the next step needs; `next_rows` says for which shapes.

        Args:
            thread: Compiles them.
            longest_prompt: Likely length of a step's longest prompt, in tokens.
        """
        if not thread.enabled:
            return
        state = self.abstract_state()
        terms = domain_terms(self._config.objective, self._objective, self._config.domains, self._kl.factor)
        for rows in next_rows(self._config, self._plan, longest_prompt, self._row_shapes):
            batch = batch_shapes(rows, self._programs.by_row, with_tags=self._plan.tags is not None)
            reference = old = None
            if self._reference:
                reference = self._programs.score_reference.compile_ahead(thread, shapes_of(self._reference), batch)
            if not self._on_policy:
                old = self._programs.score.compile_ahead(thread, self.policy(state), batch)
            inputs = UpdateInputs(batch, old, reference)
            self._programs.update.compile_ahead(thread, state=state, frozen=self._frozen, inputs=inputs, terms=terms)

    def learn(
        self,
        state: TrainState,
        groups: Sequence[RolloutGroup],
        step: int,
        domains: Mapping[str, Domain] | None = None,
        replayed: Sequence[ReplayedGroup] = (),
        meanwhile: Callable[[Any], None] = lambda _: None,
    ) -> tuple[TrainState, Learned]:
        """Run the updates of one step. `state` is donated.

        Args:
            state: Weights that sampled the groups.
            groups: Whole groups.
            step: For the message of a failure.
            domains: With the weights of the rewards at this step; default those of the config.
            replayed: At most `replay.groups_per_step`; places left over are in the update without counting.
            meanwhile: Called once for every update, with what it will return, while the device is at work on it.

        Raises:
            NonFiniteError: A loss or gradient is not finite; names the step, parameters and problems.
            RuntimeError: No completion has a reward.
        """
        judged = judge(groups, self._config, self._objective, domains=domains)
        minibatches = Minibatches(self._config, self._plan, groups, replayed)
        packed = minibatches.pack(judged)
        self._row_shapes = tuple(dict.fromkeys(map(rows_of, packed)))
        batches = place(packed, self._programs.by_row)
        references = [
            self._programs.score_reference(self._reference, batch) if self._reference else None for batch in batches
        ]
        kl_in_reward = self._objective.kl_in_reward and self._objective.uses_reference
        old = [None if self._on_policy else self._programs.score(self.policy(state), batch) for batch in batches]
        factor = self._kl.factor
        terms = domain_terms(self._config.objective, self._objective, self._config.domains, factor)
        if kl_in_reward:
            of_batches = [
                fetch(self._programs.penalty(of_old, reference, batch.mask, batch.domain, terms))
                for batch, of_old, reference in zip(batches, old, references, strict=True)
            ]
            # KL coefficient x KL of every token, [P, G, C], by the weights before the update.
            penalties = minibatches.by_group(of_batches)
            judged = judge(groups, self._config, self._objective, penalties, domains)
            own = place(minibatches.lay_out_advantages(packed, judged), self._programs.by_row)
            batches = [batch._replace(advantages=values) for batch, values in zip(batches, own, strict=True)]
        outputs: list[UpdateOutput] = []
        for _ in range(self._config.training.epochs):
            for b, inputs in enumerate(map(UpdateInputs, batches, old, references)):
                state, output = self._programs.update(state=state, frozen=self._frozen, inputs=inputs, terms=terms)
                meanwhile(output)
                outputs.append(fetch(output))
                if not _is_finite(outputs[-1]):
                    self._handle_nonfinite(outputs[-1], step, len(outputs), minibatches, b)
        made = [output for output in outputs if _is_finite(output)]
        last_epoch = [
            output.responses if _is_finite(output) else jax.tree.map(np.zeros_like, output.responses)
            for output in outputs[-len(batches) :]
        ]
        statistics = minibatches.by_group(last_epoch)
        if len(made) == len(outputs):
            self._kl.observe(float(statistics.kl.sum()) / max(_trained_tokens(groups, judged), 1))
        return state, Learned(
            judged=judged,
            kl_factor=factor,
            losses=tuple(float(output.loss) for output in made),
            grad_norms=tuple(float(output.grad_norm) for output in made),
            learning_rate=float(np.asarray(self._schedule(max(int(state.num_updates) - 1, 0)))),
            statistics=statistics,
            replayed=minibatches.by_replayed_group(last_epoch),
            tokens=self._config.training.epochs * _real_tokens([*groups, *(own.group for own in replayed)]),
            skipped=len(outputs) - len(made),
        )

    def state(self) -> dict[str, Any]:
        """What the learner knows beside the train state, for a checkpoint; JSON values."""
        return {"kl_factor": self._kl.factor, "row_shapes": [list(rows) for rows in self._row_shapes]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` told."""
        self._kl.factor = state["kl_factor"]
        self._row_shapes = tuple(RowShape(*rows) for rows in state.get("row_shapes", ()))

    def _handle_nonfinite(self, output: UpdateOutput, step: int, update: int, minibatches: Minibatches, b: int) -> None:
        """Write down what is known of it; then end the run or go on, as `training.on_nonfinite` says."""
        names = [
            jax.tree_util.keystr(path, simple=True, separator=".")
            for path, _ in jax.tree.leaves_with_path(self._session.trained_shapes)
        ]
        finite = np.all([minibatches.by_fresh_group(b, np.isfinite(leaf)) for leaf in output.responses], axis=0)
        found = NonFiniteUpdate(
            step=step,
            update=update,
            loss=float(output.loss),
            grad_norm=float(output.grad_norm),
            leaves=tuple(name for name, good in zip(names, output.finite.tolist(), strict=True) if not good),
            problems=problem_rows(minibatches.contents(b), finite),
        )
        more = f"; more in {write_dump(self._dumps, found)}" if self._dumps else ""
        if self._config.training.on_nonfinite == "skip":
            logger.warning("%s; this update is skipped%s", found, more)
            return
        raise NonFiniteError(
            f"{found}{more}. Lower training.learning_rate, or leave such updates out: training.on_nonfinite=skip"
        )


def _shardings_of(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.sharding, tree)


def _is_finite(output: UpdateOutput) -> bool:
    return bool(np.isfinite(output.loss) and np.isfinite(output.grad_norm))


def _copied(dtype: Any, params: Params) -> Params:
    return jax.tree.map(lambda leaf: jnp.array(leaf, dtype, copy=True), params)


def _on_host(sharding: NamedSharding, leaf: Any) -> NamedSharding:
    return sharding.with_memory_kind("pinned_host") if leaf.ndim else sharding


def _initial(optimizer: optax.GradientTransformation, params: Params) -> TrainState:
    return TrainState(params, optimizer.init(params), jnp.int32(0))


def _trained_tokens(groups: Sequence[RolloutGroup], judged: Judged) -> int:
    lengths = np.array([[rollout.completion.num_sampled for rollout in group.rollouts] for group in groups])
    return int(lengths[judged.trained].sum())


def _real_tokens(groups: Sequence[RolloutGroup]) -> int:
    return sum(
        len(group.prompt.token_ids) + sum(len(rollout.completion.token_ids) for rollout in group.rollouts)
        for group in groups
    )
