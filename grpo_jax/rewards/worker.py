# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The process that scores completions: `python -m grpo_jax.rewards.worker REQUESTS REPLIES` (two file descriptors).

It never touches an accelerator, runs at low priority, and ends when its parent does. What reward functions print goes
to the log pipe of the pool, never into the channel.
"""

import contextlib
import ctypes
import os
import pickle
import signal
import sys
from typing import Any

from grpo_jax.records import Problem, Reward, RewardStatus
from grpo_jax.rewards import channel, math_answer, registry
from grpo_jax.rewards.router import Router, part_names

_NICENESS = 5
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _settle() -> None:
    """Give the device's threads the cores, the kernel the right victim, and the parent's death an effect."""
    os.nice(_NICENESS)
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            sys.exit(1)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")  # best effort: some containers hide the file


def probe() -> bool:
    """Score a known pair: whether this process works at all, with nothing of a model's in it."""
    right = math_answer.compare_answers("1/2", "0.5") == RewardStatus.PASS
    return right and math_answer.compare_answers("1/2", "0.51") == RewardStatus.FAIL


def _reply(reward: Reward) -> dict[str, Any]:
    return {
        "status": reward.status.value,
        "total": reward.total,
        "parts": dict(reward.parts),
        "seconds": reward.seconds,
        "reason": reward.reason,
        "answer": reward.answer,
    }


def _answer(request: bytes, router: Router) -> dict[str, Any]:
    try:
        task: tuple[Problem, str, int | None] | None = pickle.loads(request)
    except Exception as error:  # noqa: BLE001 unpickling runs what a user's class does; not the completion's fault
        return _reply(Reward(RewardStatus.INVALID, None, {}, reason=f"problem: {registry.one_line(error)}"))
    if task is None:
        return {"probe": probe()}
    return _reply(router.score(*task))


def main(requests: int, replies: int) -> None:
    """Serve requests until the parent closes the channel.

    The first request is {"path": sys.path, "plan": pickled (domains, RewardsConfig, phases)}; later ones are (Problem,
    completion, phase), or None for a probe.
    """
    _settle()
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)
    first = channel.read_request(requests)
    if first is None:
        return
    setup = pickle.loads(first)
    sys.path[:] = setup["path"]
    domains, settings, phases = pickle.loads(setup["plan"])
    router = Router(domains, settings, phases)
    for name in part_names(domains):
        registry.resolve(name).warm_up(settings)
    channel.write_reply(replies, {"ready": os.getpid()})
    while (request := channel.read_request(requests)) is not None:
        channel.write_reply(replies, _answer(request, router))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
