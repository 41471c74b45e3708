# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled programs of a step's updates: scoring by the frozen reference and the old policy, and the update."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float32, Int32

from grpo_jax.config import RunConfig
from grpo_jax.models.update_attention_choice import choose_update_attention
from grpo_jax.objective.domain_terms import DomainTerms
from grpo_jax.objective.kl import token_kl
from grpo_jax.objective.presets import ResolvedObjective
from grpo_jax.parallel.compile_ahead import Program
from grpo_jax.parallel.rules import MESH_AXES
from grpo_jax.rollout.session import Session
from grpo_jax.training.scoring import score
from grpo_jax.training.state import TrainState
from grpo_jax.training.update import UpdateSettings, update


class LearnerPrograms:
    """Programs of one model and objective, each compiled when first used with a shape or ahead of it.

    Attributes:
        by_row: Sharding of the arrays of a `TrainBatch` and of scores.
        score: Weights of the policy and a batch to its log-probabilities.
        score_reference: The same of the reference; where that is no other module than the policy, the same program.
        penalty: What a KL term takes off the rewards, token by token.
        update: One optimizer update; the state is donated.
    """

    def __init__(
        self,
        config: RunConfig,
        session: Session,
        objective: ResolvedObjective,
        optimizer: optax.GradientTransformation,
        state: TrainState,
    ):
        """Set the programs up; nothing is compiled.

        Args:
            config: The run.
            session: Its model.
            objective: Its loss.
            optimizer: Moves the weights.
            state: Shapes and shardings of the trained state.
        """
        longest = config.longest_completion_tokens
        attention = choose_update_attention(
            config.model.attention, session.arch, session.mesh, session.dtype, config.data.max_prompt_tokens + longest
        )
        self.by_row = NamedSharding(session.mesh, PartitionSpec(None, MESH_AXES["batch"]))

        def scoring(graph: Any) -> Program:
            own = partial(score, graph, dtype=session.dtype, mesh=session.mesh, attention=attention)
            return Program("score", jax.jit(own, out_shardings=self.by_row))

        self.score = scoring(session.graph)
        self.score_reference = scoring(session.base_graph) if session.lora else self.score
        self.penalty = jax.jit(partial(_kl_penalty, objective=objective))
        settings = UpdateSettings(
            session.graph,
            objective,
            session.dtype,
            remat=config.model.remat,
            mesh=session.mesh,
            max_replay_weight=config.replay.max_importance_weight if config.replay.groups_per_step else None,
            skip_nonfinite=config.training.on_nonfinite == "skip",
            attention=attention,
        )
        run = jax.jit(
            partial(update, settings=settings, optimizer=optimizer),
            donate_argnames="state",
            # Left to the compiler, the new weights may lie elsewhere than the old, and the next step compiles again.
            out_shardings=(jax.tree.map(lambda leaf: leaf.sharding, state), None),
        )
        self.update = Program("update", run)


def _kl_penalty(
    old_logprobs: Float32[Array, "M B R C"],
    reference_logprobs: Float32[Array, "M B R C"],
    mask: Bool[Array, "M B R C"],
    domain: Int32[Array, "M B"],
    terms: DomainTerms,
    *,
    objective: ResolvedObjective,
) -> Float32[Array, "M B R C"]:
    coefficients = terms.kl_coefficients[domain][:, :, None, None, :]
    estimates = [
        token_kl(
            old_logprobs,
            reference_logprobs,
            estimator,
            max_difference=objective.kl_max_difference,
            max_value=objective.kl_max,
        )
        for estimator in objective.kl_estimators
    ]
    return jnp.where(mask, (jnp.stack(estimates, axis=-1) * coefficients).sum(axis=-1), 0.0)
