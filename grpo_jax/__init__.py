# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reinforcement learning with verifiable rewards on several domains at once, in JAX.

The two entry points for notebooks, `load_config` and `train`, are resolved on first use: importing the package
imports no JAX, so that reward workers start fast and never claim an accelerator.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grpo_jax.overrides import load_config
    from grpo_jax.training.loop import train

__all__ = ["load_config", "train"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Resolve an entry point on first use (PEP 562)."""
    if name == "load_config":
        from grpo_jax.overrides import load_config

        return load_config
    if name == "train":
        from grpo_jax.training.loop import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
