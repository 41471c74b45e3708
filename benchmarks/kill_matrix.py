# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that is killed again and again ends as one that never was.

    python -m benchmarks.kill_matrix [--kills 40] [--seed 1] [--steps 80] [--folder DIR]

Trains `kill_matrix_config.py` twice, each start in a process group of its own: once unbroken, and once with SIGKILL at
random moments (while starting, sampling, scoring, learning, evaluating, and while a checkpoint is half written), and
started again each time. Then compares every line of metrics.jsonl (times and the state of the workers left out), every
file of completions, the counts of the reasoning vocabulary and the final weights, to the bit. Prints JSON; the exit
code is 1 where anything differs or the run ended before all kills were done.
"""

import argparse
import collections
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kill_matrix_side import STAGES
from grpo_jax.tracking.metrics import read_metrics

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("starting", "sampling", "scoring", "learning", "evaluating", "writing a checkpoint")
UNREPEATABLE = ("time/", "throughput/", "memory/", "reward_workers/")
"""Prefixes of metrics that tell of the machine and the moment."""
_POLL_SECONDS = 0.002
_STARTING_SECONDS = 12.0
_PATIENCE_SECONDS = 900


@dataclass(frozen=True)
class Kill:
    """When to kill a start: so many steps of it later, at a place, after a share of what that place takes."""

    place: str
    steps_later: int
    share: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="length of the run (default: twice the kills, at least 8)")
    parser.add_argument("--folder", type=Path, help="an empty or new folder to keep (default: a temporary one)")
    arguments = parser.parse_args(argv)
    steps = arguments.steps or max(8, 2 * arguments.kills)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        found = kill_matrix(folder, plan_kills(arguments.kills, arguments.seed), steps)
    print(json.dumps(found, indent=2))
    return int(found["kills"] < arguments.kills or bool(found["differences"]))


def plan_kills(count: int, seed: int) -> list[Kill]:
    """Every place equally often, as far as the count allows, in random order and at random moments."""
    lot = random.Random(seed)
    places = [PLACES[number % len(PLACES)] for number in range(count)]
    lot.shuffle(places)
    return [Kill(place, 0 if place == "starting" else lot.randrange(4), lot.random()) for place in places]


def kill_matrix(folder: Path, kills: Sequence[Kill], steps: int) -> dict[str, Any]:
    """Train unbroken and killed, below `folder`, and compare.

    Raises:
        RuntimeError: A start ended with an error of its own.
    """
    began = time.monotonic()
    unbroken = _Run(folder, "unbroken", steps)
    unbroken.start()
    unbroken.finish()
    print(f"unbroken run: {steps} steps in {time.monotonic() - began:.0f} s", file=sys.stderr)
    seconds = _seconds_of_stages(unbroken.notes())
    killed = _Run(folder, "killed", steps)
    done: list[dict[str, Any]] = []
    for kill in kills:
        killed.start()
        if not killed.wait_for(kill, seconds):
            break  # the run came to its end first
        killed.kill()
        done.append({"place": kill.place, **killed.traces()})
        print(f"kill {len(done)} of {len(kills)}: {done[-1]}", file=sys.stderr, flush=True)
    if len(done) == len(kills):
        killed.start()
    killed.finish()
    rows = repeatable(unbroken.path)
    return {
        "kills": len(done),
        "by_place": dict(collections.Counter(one["place"] for one in done)),
        "left_a_partial_checkpoint": sum(one["partial_checkpoint"] for one in done),
        "checkpoints_set_aside_as_damaged": len([*killed.path.glob("checkpoints/*.damaged")]),
        "steps": steps,
        "unbroken_run_did": {
            name: round(sum(row.get(name, 0.0) for row in rows), 3)
            for name in ("replay/used", "objective/replaced_groups", "objective/extra_rounds")
        }
        | {
            "phases": sorted({row["curriculum/phase"] for row in rows if "curriculum/phase" in row}),
            "kl_factor": rows[-1]["objective/kl_factor"],
        },
        "differences": differences(killed.path, unbroken.path),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def repeatable(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without what no two runs share."""
    rows = read_metrics(run / "metrics.jsonl")
    return [{name: row[name] for name in row if not name.startswith(UNREPEATABLE)} for row in rows]


def differences(found: Path, expected: Path) -> list[str]:
    """What differs between two runs' folders, one line each; empty where they are the same to the bit."""
    lines = []
    there, wanted = repeatable(found), repeatable(expected)
    if [row["step"] for row in there] != [row["step"] for row in wanted]:
        lines.append(f"metrics.jsonl has {len(there)} lines instead of {len(wanted)}")
    for one, other in zip(there, wanted, strict=False):
        names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
        lines.extend(
            f"step {other['step']}: {name} is {one.get(name)}, not {other.get(name)}" for name in sorted(names)
        )
    files = [
        path.relative_to(expected)
        for pattern in ("completions/*", "reasoning_tokens.csv", "final_model/*")
        for path in sorted(expected.glob(pattern))
    ]
    for path in files:
        same = (found / path).is_file() and (found / path).read_bytes() == (expected / path).read_bytes()
        lines.extend([] if same else [f"{path} differs"])
    return lines


class _Run:
    """One run's folder, and the process of its latest start."""

    def __init__(self, folder: Path, name: str, steps: int) -> None:
        self._folder, self._name, self._steps = folder, name, steps
        self.path = folder / "out" / name
        self._notes, self._output = folder / f"{name}.stages", folder / f"{name}.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or go on."""
        self._notes.unlink(missing_ok=True)
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0",
            "JAX_COMPILATION_CACHE_DIR": str(self._folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            STAGES: str(self._notes),
        }
        words = ["benchmarks.kill_matrix_side", "train", str(ROOT / "benchmarks" / "kill_matrix_config.py")]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words, f"exp_name={self._name}", f"training.max_steps={self._steps}"],
                cwd=self._folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._began = time.monotonic()

    def notes(self) -> list[tuple[float, str]]:
        """Stages of this start with the times at which they began; a line that is still being written is left out."""
        text = self._notes.read_text() if self._notes.exists() else ""
        lines = [line.split(" ", 1) for line in text.split("\n")[:-1]]
        return [(float(at), stage) for at, stage in lines]

    def wait_for(self, kill: Kill, seconds: dict[str, float]) -> bool:
        """Return at the kill's moment; False where the run has ended before."""
        deadline = self._began + _PATIENCE_SECONDS
        if kill.place == "starting":
            return self._sleep(kill.share * seconds["starting"])
        while True:
            stages = [stage for _, stage in self.notes()]
            if stages.count("sampling") > kill.steps_later:
                since = [i for i, stage in enumerate(stages) if stage == "sampling"][kill.steps_later]
                writing = kill.place == "writing a checkpoint" and self._partial_checkpoint()
                if writing or kill.place in stages[since:]:
                    return self._sleep(kill.share * seconds[kill.place])
            if self._ended():
                return False
            if time.monotonic() > deadline:
                raise RuntimeError(f"no moment for {kill}; see {self._output}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def finish(self) -> None:
        """Wait for the end."""
        assert self._process is not None
        self._process.wait()
        if self._process.returncode:
            last = self._output.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the run ended with code {self._process.returncode}:\n{last}")

    def traces(self) -> dict[str, Any]:
        """What the kill left."""
        log = self.path / "metrics.jsonl"
        return {
            "after": (self.notes() or [(0.0, "nothing")])[-1][1],
            "seconds": round(time.monotonic() - self._began, 1),
            "steps_in_log": read_metrics(log)[-1]["step"] if log.exists() and read_metrics(log) else None,
            "partial_checkpoint": self._partial_checkpoint(),
        }

    def _partial_checkpoint(self) -> bool:
        folder = self.path / "checkpoints"
        return folder.exists() and any("orbax" in name for name in os.listdir(folder))

    def _ended(self) -> bool:
        assert self._process is not None
        if self._process.poll():
            self.finish()
        return self._process.returncode is not None

    def _sleep(self, seconds: float) -> bool:
        time.sleep(seconds)
        return not self._ended()


def _seconds_of_stages(notes: Sequence[tuple[float, str]]) -> dict[str, float]:
    """Typical length of each place, from the notes of a whole run."""
    lengths: dict[str, list[float]] = collections.defaultdict(list)
    for (at, stage), (until, _) in itertools.pairwise(notes):
        lengths[stage].append(until - at)
    typical = {stage: sorted(own)[len(own) // 2] for stage, own in lengths.items()}
    # Of a save only the copying holds up the run; the writing goes on beside the next step.
    return {**typical, "starting": _STARTING_SECONDS, "writing a checkpoint": typical["sampling"] / 2}


if __name__ == "__main__":
    sys.exit(main())
