# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Reward functions that misbehave on command: the completion says how."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from grpo_jax.records import PartScore, Problem, RewardStatus

HOARD: list[bytearray] = []


def obedient(problem: Problem, completion: str) -> PartScore:
    """Do what the completion says; otherwise pass when it equals the ground truth."""
    word, _, argument = completion.partition(" ")
    if word == "spin":
        while True:
            pass
    elif word == "bignum":
        return PartScore(float(len(str(9**9**9))), RewardStatus.PASS)
    elif word == "grow":
        held = []
        while True:
            held.append(bytearray(b"x") * 2**24)
    elif word == "hoard":
        HOARD.append(bytearray(b"x") * 2**24)
    elif word == "sleep":
        time.sleep(float(argument))
    elif word == "exit":
        os._exit(3)
    elif word == "sigkill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "killgroup":
        os.killpg(0, signal.SIGKILL)
    elif word == "exit_once":
        marker = Path(argument)
        if not marker.exists():
            marker.touch()
            os._exit(3)
    elif word == "wait_once":
        marker = Path(argument)
        if not marker.exists():
            marker.touch()
            time.sleep(1000)
    elif word == "forge":
        os.write(int(sys.argv[2]), b"\x00\x00\x00\x02{}")
    elif word == "raise":
        raise KeyError("no such thing\nsecond line")
    elif word == "system_exit":
        sys.exit(1)
    elif word == "nan":
        return PartScore(float("nan"), RewardStatus.PASS)
    elif word == "print":
        print("x" * 200_000)
        os.write(1, b"\x00\x00\x00\x02{}" * 100)
        sys.stderr.write("y" * 200_000)
    elif word == "child":
        child = subprocess.Popen(["sleep", "1000"])
        Path(argument).write_text(str(child.pid), encoding="ascii")
        while True:
            time.sleep(1)
    elif word == "modules":
        return PartScore(float(sum(name.split(".")[0] in ("jax", "jaxlib", "torch") for name in sys.modules)))
    elif word == "pid":
        return PartScore(float(os.getpid()))
    right = completion == problem.ground_truth
    return PartScore(float(right), RewardStatus.PASS if right else RewardStatus.FAIL)


def plain_number(problem: Problem, completion: str) -> float:
    """A reward function in its simplest form."""
    return 0.25


def settled(problem: Problem, completion: str, *, right: float = 1.0, marks: int = 3, mode: str = "plain") -> float:
    """Give what the settings say."""
    return right * completion.count("!") / marks


def any_setting(problem: Problem, completion: str, **settings: float) -> float:
    """The sum of whatever is set."""
    return sum(settings.values())
