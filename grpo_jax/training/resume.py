# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run goes on from, and which config changes that allows."""

import logging
import os
import shutil
from collections.abc import Mapping
from typing import Any

from grpo_jax.checkpoint.manager import CheckpointManager
from grpo_jax.checkpoint.run_weights import find_checkpoint
from grpo_jax.config import CheckpointConfig, RewardPhase
from grpo_jax.records import ConfigError
from grpo_jax.rewards_config import phase_starts
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.training.state import TrainState
from grpo_jax.typed_values import build

logger = logging.getLogger(__name__)

FIXED = (
    "seed",
    "model.path",
    "model.quantization",
    "model.reasoning_vocab_size",
    "model.reasoning_tags",
    "data.train_sources",
    "data.train_domains",
    "data.prompts_per_step",
    "data.mixing",
    "data.sequential_spans",
    "data.anneal_to",
    "data.anneal_from",
    "data.anneal_until",
    "curriculum.difficulty",
    "curriculum.adaptive",
    "curriculum.phases",
    "domains",
)
"""Fields (and all below them) that say what the data and the randomness are: they cannot change in mid-run."""

LENGTH = ("training.max_steps", "training.num_train_epochs")
"""Fields that say how long the run is: fixed too where reward phases begin by progress."""

KEEP_ALL = 1_000_000_000
"""Checkpoints to keep of a run that is only read."""

Restored = tuple[int, TrainState, dict[str, Any]]
"""Steps done, device state and host state."""


def open_checkpoints(folder: RunFolder, settings: CheckpointConfig, resume: str) -> CheckpointManager:
    """The run's checkpoints; with `resume` "never" the ones of an earlier run are removed first."""
    if resume == "never" and folder.checkpoints.exists():
        shutil.rmtree(folder.checkpoints)
    return CheckpointManager(folder.checkpoints.absolute(), keep=settings.keep)


def restore(
    manager: CheckpointManager, resume: str, abstract_state: TrainState, config: Mapping[str, Any]
) -> Restored | None:
    """Read the state to go on from.

    Args:
        manager: The run's own checkpoints.
        resume: "auto" takes the newest of them, "never" none; anything else is a run's folder or a checkpoint. Going
            back to an older one of the run's own deletes those after it, which belong to a course not taken.
        abstract_state: Shapes and shardings.
        config: The resolved config of this start, as plain values.

    Returns:
        None where the run starts afresh.

    Raises:
        ConfigError: There is no such checkpoint, it does not fit the model, a field changed that cannot, or the run has
            checkpoints of its own and is told to go on from another run's.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found = manager.restore_newest(abstract_state)
        if found is not None:
            check_unchanged(found[2]["config"], config)
        return found
    checkpoint = find_checkpoint(resume)
    step = int(checkpoint.name)
    own = checkpoint.parent.samefile(os.fspath(manager.folder))
    if not own and manager.latest_step() is not None:
        raise ConfigError(
            f"--resume {resume} is of another run, and {manager.folder} holds checkpoints of this one; "
            "choose another exp_name"
        )
    source = manager if own else CheckpointManager(checkpoint.parent, keep=KEEP_ALL)
    state, host = source.restore(step, abstract_state)
    check_unchanged(host["config"], config)
    if own:
        manager.delete_after(step)
    else:
        source.close()
    return step, state, host


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse changes to what cannot change on resume; list the others in the log.

    The length of the run is fixed where reward phases depend on it.

    Raises:
        ConfigError: A fixed field differs; names it and both values.
    """
    old, new = _flat(before), _flat(now)
    by_progress = any(start is not None for start in phase_starts(_phases(now))[1:])
    fixed_names = (*FIXED, *LENGTH) if by_progress else FIXED
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if any(name == fixed or name.startswith(fixed + ".") for fixed in fixed_names):
            raise ConfigError(
                f"{name} was {old.get(name)!r} in the checkpoint and is {new.get(name)!r} now; it cannot change on "
                "resume. Set it back, choose another exp_name, or start again with --resume never"
            )
        logger.info("resuming with %s changed from %r to %r", name, old.get(name), new.get(name))


def _phases(config: Mapping[str, Any]) -> tuple[RewardPhase, ...]:
    return build(tuple[RewardPhase, ...], config.get("curriculum", {}).get("phases", ()), "curriculum.phases")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{name}."))
        else:
            flat[name] = list(value) if isinstance(value, tuple) else value
    return flat
