# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run goes on from, and which config changes that allows."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from etils import epath

from grpo_jax.checkpoint.best_checkpoints import BestCheckpoints
from grpo_jax.checkpoint.manager import CheckpointManager
from grpo_jax.checkpoint.run_weights import absolute_path, find_checkpoint
from grpo_jax.checkpoint.tensor_files import is_address
from grpo_jax.config import CheckpointConfig, RewardPhase
from grpo_jax.parallel.processes import is_main, wait_for_all
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
    "model.lora",
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
    "training.optimizer",
    "training.moments_dtype",
)
"""Fields (and all below them) that say what data, randomness and state are: they cannot change in mid-run."""

LENGTH = ("training.max_steps", "training.num_train_epochs")
"""Fields that say how long the run is: fixed too where reward phases begin by progress."""

KEEP_ALL = 1_000_000_000
"""Checkpoints to keep of a run that is only read."""

Restored = tuple[int, TrainState, dict[str, Any]]
"""Steps done, device state and host state."""


def open_checkpoints(
    folder: RunFolder, settings: CheckpointConfig, resume: str, best: BestCheckpoints | None = None
) -> CheckpointManager:
    """The run's checkpoints; with `resume` "never" the ones of an earlier run are removed first.

    Raises:
        ConfigError: Their folder cannot be created or written.
    """
    place = checkpoint_run_folder(folder, settings) / "checkpoints"
    if resume == "never" and is_main() and place.exists():
        place.rmtree()
    wait_for_all("earlier checkpoints removed")
    return CheckpointManager(place, settings.keep, best)


def checkpoint_run_folder(folder: RunFolder, settings: CheckpointConfig) -> epath.Path:
    """The folder around `checkpoints/`: the run's own, or its namesake below `checkpoint.folder`."""
    return absolute_path(f"{settings.folder.rstrip('/')}/{folder.exp_name}" if settings.folder else folder.path)


def write_config_beside(manager: CheckpointManager, folder: RunFolder) -> None:
    """Put the run's config.json beside checkpoints that are elsewhere, so that they are a run's folder to others."""
    place = manager.folder.parent
    if _real(place) != _real(absolute_path(folder.path)):
        (place / "config.json").write_text(folder.config_json.read_text(encoding="utf-8"), encoding="utf-8")


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

    def check(host: Mapping[str, Any]) -> None:
        check_unchanged(host["config"], config)

    if resume == "auto":
        return manager.restore_newest(abstract_state, check)
    checkpoint = find_checkpoint(resume)
    step = int(checkpoint.name)
    own = _real(checkpoint.parent) == _real(manager.folder)
    if not own and manager.latest_step() is not None:
        raise ConfigError(
            f"--resume {resume} is of another run, and {manager.folder} holds checkpoints of this one; "
            "choose another exp_name"
        )
    source = manager if own else CheckpointManager(checkpoint.parent, keep=KEEP_ALL)
    state, host = source.restore(step, abstract_state, check)
    if own:
        manager.delete_after(step)
    else:
        source.close()
    return step, state, host


def _real(path: epath.Path) -> str:
    return str(path) if is_address(str(path)) else os.path.realpath(path)


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
