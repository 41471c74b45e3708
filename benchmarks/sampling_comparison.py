# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Our sampler beside another's: same weights, prompts and limits, completions as the model ends them, in turns.

Each side runs in a fresh process with all cores. It first samples greedily, one completion of `GREEDY_TOKENS` tokens
for each prompt, and all sides must agree on those tokens; then once at temperature 1 to warm up and compile, then
`steps` times with the clock running. Lengths are free, so tokens a second are compared, the stop token counted and what
comes after it not. A ratio compares a process of ours with the other's that followed it.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.workload import Workload

ROOT = Path(__file__).resolve().parents[1]
GREEDY_TOKENS = 16


def compare(workload: Workload, theirs: str, command: Sequence[str], repeats: int) -> dict[str, Any]:
    """Measure our side and another in turns.

    Args:
        workload: `completion_tokens` is the token limit.
        theirs: Name of the other side.
        command: Starts it; gets the folder of the workload and the file to write appended.
        repeats: Processes of each side.

    Returns:
        What an `--output` file holds: machine, workload, what each process wrote, and the ratios.

    Raises:
        RuntimeError: The sides do not sample the same greedy tokens, or ran at different priorities.
        subprocess.CalledProcessError: A side failed; its own message is above.
    """
    commands = {"grpo_jax": [sys.executable, "-m", "benchmarks.sampling_side"], theirs: [*command]}
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in commands}
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(folder)
        start([sys.executable, "-m", "benchmarks.grpo_jax_side"], folder)
        for repeat in range(1, repeats + 1):
            for side, words in commands.items():
                loads.append(os.getloadavg()[0])
                output = folder / f"{side}-{repeat}.json"
                start(words, folder, output)
                found[side].append(json.loads(output.read_text(encoding="utf-8")))
                check(found)
                print(f"{side:<9} {repeat}/{repeats} {rate(found[side][-1]):8.1f} tokens/s", flush=True)
    ratios = [rate(ours) / rate(other) for ours, other in zip(found["grpo_jax"], found[theirs], strict=True)]
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_before_each_process": loads,
        },
        "workload": {"model": workload.model, "questions": len(workload.questions), "group_size": workload.group_size}
        | {"limit": workload.completion_tokens, "steps": workload.steps},
        "sides": found,
        "tokens_per_second": {side: [rate(one) for one in processes] for side, processes in found.items()},
        "times_faster": {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)},
    }


def rate(side: Mapping[str, Any]) -> float:
    """Tokens a second over all measured runs of one process."""
    return sum(run["tokens"] for run in side["runs"]) / sum(run["seconds"] for run in side["runs"])


def check(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse sides that do other work or had another claim to the processor.

    Raises:
        RuntimeError: They differ in greedy tokens or in niceness.
    """
    processes = [(side, process) for side, own in found.items() for process in own]
    first_side, first = processes[0]
    for side, process in processes[1:]:
        if process["greedy"] != first["greedy"]:
            raise RuntimeError(f"greedy tokens of {side} and {first_side}: {process['greedy']}, {first['greedy']}")
        if process["settings"]["niceness"] != first["settings"]["niceness"]:
            raise RuntimeError("the processes ended with different niceness, so their times say nothing")


def start(command: Sequence[str], *words: Path) -> None:
    """Run one side to its end, on the CPU alone."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONWARNINGS": "ignore",
        "TQDM_DISABLE": "1",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([*command, *map(str, words)], check=True, cwd=ROOT, env=environment)


def describe(result: Mapping[str, Any], theirs: str) -> str:
    """The ratio on one line."""
    ratio = result["times_faster"]
    return f"grpo_jax / {theirs}, tokens/s: {ratio['median']:.2f} x ({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
