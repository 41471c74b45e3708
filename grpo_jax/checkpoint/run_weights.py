# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The weights alone out of a run's checkpoint: for evaluation and export, which need no optimizer."""

import json
import os
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from grpo_jax.checkpoint.tensor_files import is_address
from grpo_jax.models.transformer import Params
from grpo_jax.records import ConfigError


def absolute_path(path: str | os.PathLike[str]) -> epath.Path:
    """A local path made absolute, which Orbax wants; an address such as `gs://bucket/run` as it is."""
    text = os.fspath(path)
    return epath.Path(text if is_address(text) else os.path.abspath(os.path.expanduser(text)))


def find_checkpoint(path: str | os.PathLike[str]) -> epath.Path:
    """The checkpoint that a path means: the folder itself, or the newest complete one of a run's folder.

    A run whose `checkpoint.folder` puts them elsewhere is followed there.

    Raises:
        ConfigError: There is none.
    """
    folder = absolute_path(path)
    if folder.name.isdecimal() and (folder / "state").is_dir():
        return folder
    steps = complete_steps(folder / "checkpoints")
    if not steps and (elsewhere := _checkpoint_folder(folder)):
        folder = absolute_path(elsewhere) / folder.name
        steps = complete_steps(folder / "checkpoints")
    if not steps:
        raise ConfigError(f"{path} is neither a checkpoint nor a run's folder with one in checkpoints/")
    return folder / "checkpoints" / str(max(steps))


def complete_steps(folder: epath.Path) -> set[int]:
    """Numbers of the complete checkpoints in a folder, which need not be there."""
    found = folder.iterdir() if folder.is_dir() else ()
    return {int(each.name) for each in found if each.name.isdecimal() and ocp.utils.is_checkpoint_finalized(each)}


def _checkpoint_folder(run: epath.Path) -> str:
    """What a run's config.json says; empty where there is none or it says nothing."""
    file = run / "config.json"
    if not file.is_file():
        return ""
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("checkpoint", {}).get("folder", "")
    except ValueError as error:
        raise ConfigError(f"{file} is not JSON ({error}); name the checkpoint's own folder") from None


def leaf_name(path: tuple[Any, ...]) -> str:
    """Path of a leaf in the words of Orbax's metadata: `optimizer.0.mu.layers.query`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def restore_params(path: str | os.PathLike[str], shapes: Params) -> Params:
    """Read the policy's weights of a checkpoint.

    Args:
        path: As in `find_checkpoint`.
        shapes: `jax.ShapeDtypeStruct` of each parameter, with the sharding to put it at (or none, for one device).

    Raises:
        ConfigError: There is no checkpoint, or it is of another model.
    """
    checkpoint = find_checkpoint(path)
    handler = ocp.PyTreeCheckpointHandler()
    saved = handler.metadata(checkpoint / "state").tree["params"]
    found = {leaf_name(p): tuple(leaf.shape) for p, leaf in jax.tree.leaves_with_path(saved, is_leaf=_has_shape)}
    wanted = {leaf_name(p): tuple(leaf.shape) for p, leaf in jax.tree.leaves_with_path(shapes)}
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise ConfigError(
                f"{checkpoint}: parameter {name} has shape {found.get(name)}, the model wants {wanted.get(name)}; "
                "give the config that the run was trained with"
            )
    item = {"params": shapes}
    restore_args = ocp.checkpoint_utils.construct_restore_args(item)
    arguments = ocp.args.PyTreeRestore(item=item, restore_args=restore_args, partial_restore=True)
    return handler.restore(checkpoint / "state", args=arguments)["params"]


def _has_shape(leaf: Any) -> bool:
    return hasattr(leaf, "shape")
