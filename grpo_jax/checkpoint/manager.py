# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a run: device arrays by Orbax, host state as JSON, written in the background, read back bit for bit.

    checkpoints/
        100/            complete: Orbax renames a folder to its bare number as the last act of a save
        150/
        200.orbax-...   being written, or left by a stopped process; never listed, gone after the next save
        150.damaged/    could not be restored while an older one could; kept for whoever wants to look

What a checkpoint holds is its writer's business; this file knows pytrees and JSON, no model and no optimizer.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from grpo_jax.checkpoint.best_checkpoints import BestCheckpoints
from grpo_jax.checkpoint.disk_errors import naming_disk_errors
from grpo_jax.checkpoint.fingerprint import fingerprints
from grpo_jax.checkpoint.run_weights import absolute_path, complete_steps, leaf_name
from grpo_jax.checkpoint.tensor_files import is_address
from grpo_jax.checkpoint.token_map import TOKEN_MAP_FILE
from grpo_jax.models.vocabulary import TokenMap
from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)

Restored = tuple[Any, dict[str, Any]]
"""The pytree of arrays and the host's JSON object."""


class DamagedCheckpointError(RuntimeError):
    """A complete-looking checkpoint does not hold what was saved."""


class CheckpointManager:
    """Saves and restores the numbered checkpoints of one folder.

    All processes of a run call the same methods in the same order; one thread a process.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int, best: BestCheckpoints | None = None):
        """Open a folder, creating it if needed; what interrupted saves left is removed in the background.

        Args:
            folder: Local path, or a `gs://` address.
            keep: Newest checkpoints to keep; an older one is deleted only when the newer is complete. Number 0, of a
                run before its first step, stays.
            best: Says at every save which steps are kept besides.

        Raises:
            ConfigError: The folder cannot be created or written.
        """
        self._folder = _writable_folder(folder)
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=_Kept(keep, best), create=True, cleanup_tmp_directories=True
            ),
            item_handlers={
                "state": ocp.StandardCheckpointHandler(),
                "host": ocp.JsonCheckpointHandler(),
                "vocabulary": ocp.JsonCheckpointHandler(TOKEN_MAP_FILE),
            },
        )

    def save(self, step: int, state: Any, host: Mapping[str, Any], token_map: TokenMap | None = None) -> bool:
        """Start a save; return as soon as the arrays are copied, so that they may be donated.

        Waits first for a save still running. An error of that one surfaces here, in `wait` or in `close`.

        Args:
            step: Number of the checkpoint.
            state: Pytree of JAX arrays.
            host: JSON object; floats come back exactly, tuples as lists.
            token_map: Of a model with a reasoning vocabulary: saved as `vocabulary/reasoning_token_map.json`.

        Returns:
            Whether a save was started: False if this step already is, or is becoming, a checkpoint.

        Raises:
            TypeError: `host` holds something that JSON cannot.
            DiskError: The disk is full or cannot be written.
        """
        self.wait()
        if step in self.complete_steps():
            return False
        record = {"host": dict(host), "fingerprints": fingerprints(state)}
        json.dumps(record)  # Here rather than in the background, where the caller could not see the mistake.
        items = {"state": ocp.args.StandardSave(state), "host": ocp.args.JsonSave(record)}
        if token_map is not None:
            items["vocabulary"] = ocp.args.JsonSave(token_map.as_json())
        with naming_disk_errors(str(self._folder)):
            # Without force Orbax skips, silently, a step below the newest.
            return self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    @property
    def folder(self) -> epath.Path:
        """Where the checkpoints are, absolute."""
        return self._folder

    def latest_step(self) -> int | None:
        """Number of the newest complete checkpoint; one still being written does not count."""
        return max(self.complete_steps(), default=None)

    def restore(
        self, step: int, abstract_state: Any, check: Callable[[dict[str, Any]], None] | None = None
    ) -> Restored:
        """Read one checkpoint and check every array against its fingerprint.

        Args:
            step: Number of the checkpoint.
            abstract_state: The pytree that was saved, of `jax.ShapeDtypeStruct` with `sharding` or of arrays; the mesh
                may differ from the one at the time of saving.
            check: Called with the host state before any array is read; may refuse it with a ConfigError.

        Returns:
            The arrays, placed as asked, and the host state.

        Raises:
            ConfigError: There is no such checkpoint, `check` refuses it, or it is of another model: leaves, shapes or
                dtypes differ.
            DamagedCheckpointError: Arrays or metadata are not what was saved. Files that cannot be read at all raise
                whatever Orbax makes of them.
        """
        self._manager.wait_until_finished()
        steps = self.complete_steps()
        if step not in steps:
            raise ConfigError(f"no checkpoint {step} in {self._folder}; there are {sorted(steps) or 'none'}")
        wanted = jax.tree.map(_abstract, abstract_state)
        record = self._manager.restore(step, args=ocp.args.Composite(host=ocp.args.JsonRestore()))["host"]
        if check is not None:
            check(record["host"])
        self._check_fits(step, wanted)
        state = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))["state"]
        expected, found = record["fingerprints"], fingerprints(state)
        changed = sorted(path for path in found if found[path] != expected.get(path))
        if changed:
            raise DamagedCheckpointError(f"checkpoint {self._folder / str(step)}: {changed[0]} is not what was saved")
        return state, record["host"]

    def restore_newest(
        self, abstract_state: Any, check: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[int, Any, dict[str, Any]] | None:
        """Restore the newest checkpoint that is whole, with a warning for each newer one that is not.

        Those are then renamed to `STEP.damaged`, so that their steps can be saved again. When none is whole nothing is
        renamed and the newest one's error is raised: the cause may lie outside the checkpoints.

        Args:
            abstract_state: As `restore` takes it.
            check: As `restore` takes it.

        Returns:
            Step, arrays and host state, or None if there is no checkpoint.

        Raises:
            ConfigError: The newest readable checkpoint is refused or of another model.
        """
        self._manager.wait_until_finished()
        failures: dict[int, Exception] = {}
        for step in sorted(self.complete_steps(), reverse=True):
            try:
                state, host = self.restore(step, abstract_state, check)
            except ConfigError:
                raise
            except Exception as error:  # noqa: BLE001 (Orbax raises bare Exception for a shortened file)
                failures[step] = error
                continue
            for damaged, error in failures.items():
                self._set_aside(damaged, error, step)
            return step, state, host
        if failures:
            raise failures[max(failures)]
        return None

    def delete_after(self, step: int) -> None:
        """Delete the checkpoints after `step`, so that a run that goes back can save those steps again."""
        self._manager.wait_until_finished()
        for newer in sorted(found for found in self.complete_steps() if found > step):
            logger.info("deleting checkpoint %s, which comes after step %d", self._folder / str(newer), step)
            self._manager.delete(newer)

    def wait(self) -> None:
        """Return when no save is running; raises the error of a save that failed.

        Raises:
            DiskError: The disk is full or cannot be written.
        """
        with naming_disk_errors(str(self._folder)):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def close(self) -> None:
        """Finish the running save and stop the background threads; the object is of no use afterwards."""
        self.wait()
        self._manager.close()

    def complete_steps(self) -> set[int]:
        """Numbers of the complete checkpoints."""
        return complete_steps(self._folder)

    def _check_fits(self, step: int, wanted: Any) -> None:
        """Compare with the stored metadata first: Orbax casts dtypes silently and does not name the leaf of a shape."""
        metadata = self._manager.item_metadata(step)["state"]
        if metadata is None:
            raise DamagedCheckpointError(f"checkpoint {self._folder / str(step)}: the list of arrays is missing")
        stored = {leaf.name: leaf for leaf in jax.tree.leaves(metadata.tree)}
        asked = {leaf_name(path): leaf for path, leaf in jax.tree.leaves_with_path(wanted)}
        for name in sorted(stored.keys() ^ asked.keys()):
            where = "the checkpoint" if name in stored else "this model"
            raise ConfigError(f"checkpoint {self._folder / str(step)}: {name} is only in {where}; {_REMEDY}")
        for name, leaf in asked.items():
            there, here = stored[name], leaf
            if tuple(there.shape) != tuple(here.shape):
                detail = f"shape {tuple(there.shape)}, but this run wants {tuple(here.shape)}"
            elif there.dtype != here.dtype:
                detail = f"dtype {there.dtype}, but this run wants {here.dtype}"
            else:
                continue
            raise ConfigError(f"checkpoint {self._folder / str(step)}: {name} has {detail}; {_REMEDY}")

    def _set_aside(self, step: int, error: Exception, used: int) -> None:
        reason = str(error).partition("\n")[0][:200]
        logger.warning("checkpoint %s is damaged (%s); going on from step %d", self._folder / str(step), reason, used)
        if jax.process_index() == 0:
            target = self._folder / f"{step}.damaged"
            if target.exists():
                target.rmtree()
            (self._folder / str(step)).rename(target)
        self._manager.reload()


class _Kept:
    """Orbax's policy of what to keep: the newest, the best, and number 0."""

    def __init__(self, newest: int, best: BestCheckpoints | None) -> None:
        self._newest, self._best = newest, best

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {0, *sorted(steps)[-self._newest :], *(self._best.steps if self._best else ())}
        return [step in kept for step in steps]


_REMEDY = "resume with the settings it was saved with, or use another exp_name"


def _writable_folder(folder: str | os.PathLike[str]) -> epath.Path:
    path = absolute_path(folder)
    try:
        if is_address(str(path)):
            path.mkdir(parents=True, exist_ok=True)
            return path
    except ImportError as error:
        raise ConfigError(f"checkpoint folder {path}: {error}; pip install grpo-jax[gcs]") from error
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"checkpoint folder {path} cannot be created: {error.strerror}; choose another output_dir"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(
            f"checkpoint folder {path} cannot be written; change its permissions or choose another output_dir"
        )
    return path


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    if leaf.sharding is None:
        raise ValueError(f"abstract array of shape {leaf.shape} has no sharding; restore needs to know where it goes")
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
