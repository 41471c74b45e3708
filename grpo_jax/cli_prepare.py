# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The `prepare` command: its options and what it prints."""

import argparse

from grpo_jax.records import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the command's parser its options."""
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help="name of the dataset; --list shows all")
    parser.add_argument("--list", action="store_true", help="say which datasets are known, and stop")
    parser.add_argument("--input", metavar="PATH", help="a raw file, a folder of them or a glob in quotes")
    parser.add_argument(
        "--output", metavar="PATH", help="file to write, .parquet or .jsonl; a folder for trees such as pddl"
    )
    parser.add_argument("--split", metavar="NAME", help="split of all rows (default: as files, folders or rows tell)")
    parser.add_argument(
        "--skip-bad-rows", action="store_true", help="leave faulty rows out, each counted and named, and go on"
    )
    parser.add_argument("--shown-tests", type=_count, metavar="N", help="mbpp: tests in the prompt (default 1)")


def run_prepare(arguments: argparse.Namespace) -> None:
    """`grpo-jax prepare`: write the problems and say what became of the raw rows."""
    from grpo_jax.data.preparation.prepare import prepare
    from grpo_jax.data.preparation.registry import summaries

    if arguments.list:
        known = summaries()
        width = max(map(len, known))
        print("\n".join(f"{name:{width}}  {summary}" for name, summary in known.items()))
        return
    if not (arguments.dataset and arguments.input and arguments.output):
        raise ConfigError("prepare wants DATASET, --input PATH and --output PATH; --list shows the known datasets")
    options = {} if arguments.shown_tests is None else {"shown_tests": arguments.shown_tests}
    report = prepare(
        arguments.dataset,
        arguments.input,
        arguments.output,
        split=arguments.split,
        skip_bad_rows=arguments.skip_bad_rows,
        options=options,
    )
    print(report)


def _count(text: str) -> int:
    """An int of 0 or more, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number, got {text!r}")
    return int(text)
