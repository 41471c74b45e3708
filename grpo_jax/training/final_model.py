# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What a run that reached its last step leaves: weights that transformers loads, and adapters that peft loads."""

from grpo_jax.checkpoint.hf_export import export_hugging_face
from grpo_jax.checkpoint.peft_export import export_peft
from grpo_jax.config import ModelConfig
from grpo_jax.models.lora import adapters_of, merged
from grpo_jax.models.transformer import Params
from grpo_jax.rollout.session import Session
from grpo_jax.tracking.run_folder import RunFolder


def write_final_model(folder: RunFolder, session: Session, policy: Params, model: ModelConfig) -> None:
    """Write `final_model/`, and `final_adapter/` where there are adapters that peft's layout has a place for.

    Args:
        folder: The run's.
        session: Architecture and tokenizer.
        policy: All weights, adapters among them where there are any.
        model: The run's section.
    """
    export_hugging_face(
        folder.final_model,
        session.arch,
        merged(policy, session.lora),
        session.tokenizer,
        session.hf_config,
        model.dtype,
        session.token_map,
    )
    if session.lora and model.lora and not session.token_map:
        export_peft(folder.path / "final_adapter", session.arch, adapters_of(policy), model.lora, model.path)
