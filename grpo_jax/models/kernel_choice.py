# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""When a device's kernel attends in place of plain XLA: the rule behind `model.attention`, in sampling and updates.

A kernel is taken only after it has given the right answer on this very device, and on those of every other process. So
a driver, a compiler or a chip that it does not suit costs speed and a line in the log, never a wrong number.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import jax

from grpo_jax.parallel.processes import exchange
from grpo_jax.records import ConfigError

logger = logging.getLogger(__name__)


class _Way(Protocol):
    """A way to attend."""

    @property
    def path(self) -> str:
        """`xla`, or the platform of the kernel."""
        ...


Way = TypeVar("Way", bound=_Way)


@dataclass(frozen=True)
class AttentionUse:
    """What the choice is for.

    Attributes:
        name: In the log.
        place: In the error, after "cannot be had".
        names: Of each path, in the log.
    """

    name: str
    place: str
    names: Mapping[str, str]


def choose_kernel(
    use: AttentionUse,
    requested: Literal["auto", "xla", "pallas"],
    device: jax.Device,
    head_size: int,
    *,
    xla: Way,
    find: Callable[[], tuple[Way | None, str | None]],
    fault: Callable[[Way], str | None],
) -> Way:
    """Choose a way to attend, and log it.

    Args:
        use: For the messages.
        requested: `model.attention`.
        device: One of the mesh's, which are all of one kind.
        head_size: Of the model.
        xla: The way without a kernel.
        find: The kernel that the device could run, or why there is none.
        fault: What is wrong with a kernel on the device, or None.

    Raises:
        ConfigError: `pallas` is asked for and cannot be had; the message says why.
    """

    def say(way: Way, why: str, level: int = logging.INFO) -> Way:
        logger.log(level, "%s: %s (%s)", use.name, use.names[way.path], why)
        return way

    if requested == "xla":
        return say(xla, "model.attention=xla")
    kernel, obstacle = find()
    if kernel is not None:
        # One program runs on all processes' devices, so what one of them cannot have none can.
        obstacle = next((found for found in exchange(fault(kernel)) if found is not None), None)
        if obstacle is None:
            return say(kernel, f"model.attention={requested}, {device.device_kind}, head size {head_size}")
    if requested == "pallas":
        raise ConfigError(
            f"model.attention=pallas cannot be had{use.place}: {obstacle}; set model.attention=auto or xla"
        )
    # On a chip that kernels are written for, their absence is worth a warning, which shows without a log too.
    level = logging.WARNING if device.platform in ("gpu", "tpu") else logging.INFO
    return say(xla, f"model.attention=auto, {obstacle}", level)


def fault_on(device: jax.Device, error: Callable[..., jax.Array], inputs: Any, largest: float) -> str | None:
    """What is wrong with a kernel on a device, or None.

    Args:
        device: Where the kernel runs.
        error: The difference between the kernel's answer and the right one, a scalar.
        inputs: A tuple of its arguments, arrays or pytrees of them.
        largest: Error that is allowed.
    """
    try:
        found = float(jax.jit(error)(*jax.device_put(inputs, device)))
    except Exception as failure:  # noqa: BLE001 whatever a compiler or driver raises, the kernel is told of and not used
        message = " ".join(str(failure).split())[:300]
        return f"the kernel fails on {device.device_kind}: {type(failure).__name__}: {message}"
    if not found <= largest:
        return f"the kernel is wrong by {found:.2g} on {device.device_kind}, more than {largest:.0e}"
    return None
