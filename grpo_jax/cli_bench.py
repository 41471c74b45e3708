# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""`grpo-jax bench`: tokens a second of sampling and update on this hardware, beside what the hardware could do."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpo_jax.overrides import load_config
from grpo_jax.records import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--lengths",
        choices=("config", "lognormal"),
        default="lognormal",
        help="lognormal (default): random prompts of data.max_prompt_tokens, completions of lognormal lengths; "
        "config: the first step's own problems, completions as the model ends them",
    )
    parser.add_argument(
        "--mean-tokens", type=_positive_float, metavar="X", help="mean lognormal length (default: a third of the limit)"
    )
    parser.add_argument(
        "--random-weights",
        action="store_true",
        help="no checkpoint: model.path names a config.json, a folder that holds one, or a well-known model of the hub",
    )
    parser.add_argument("--repeats", type=_positive, default=3, metavar="N", help="timed rollouts (default 3)")
    parser.add_argument("--no-update", action="store_true", help="measure sampling alone")
    parser.add_argument("--output", metavar="F.json", help="write every figure here too")


def run_bench(arguments: argparse.Namespace) -> None:
    """Measure, print a table, and write the figures where asked."""
    config = load_config(arguments.config, arguments.overrides)
    if arguments.mean_tokens is not None and arguments.lengths == "config":
        raise ConfigError("--mean-tokens goes with --lengths lognormal; a config's own completions end as they do")
    output = None if arguments.output is None else _writable(Path(arguments.output))
    from grpo_jax.bench.measure import BenchOptions, bench

    figures = bench(
        config,
        BenchOptions(
            lognormal=arguments.lengths == "lognormal",
            mean_tokens=arguments.mean_tokens,
            random_weights=arguments.random_weights,
            repeats=arguments.repeats,
            update=not arguments.no_update,
        ),
    )
    print_figures(figures)
    if output is not None:
        output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(output)


def print_figures(figures: Mapping[str, Any]) -> None:
    """The table on the console."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_title(figures), title_justify="left")
    table.add_column("")
    table.add_column("reached", justify="right")
    table.add_column("limit here", justify="right")
    table.add_column("fraction", justify="right")
    for row in rows(figures):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(_notes(figures), highlight=False, soft_wrap=True)


def rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, figure, limit and fraction of each line of the table."""
    sampling, update = figures["sampling"], figures.get("update")
    limits = sampling["decode_limits_tokens_per_second"]
    prefill_limit = sampling["prefill_tokens_per_second"] / sampling["prefill_fraction_of_roofline"]
    found = [
        (
            "prefill, tokens/s",
            f"{sampling['prefill_tokens_per_second']:,.0f}",
            f"{prefill_limit:,.0f}",
            f"{sampling['prefill_fraction_of_roofline']:.1%}",
        ),
        (
            "decode, tokens/s",
            f"{sampling['decode_tokens_per_second']:,.1f}",
            f"{limits['shared']:,.0f}",
            f"{sampling['decode_fraction_of_roofline']:.1%}",
        ),
        ("whole rollout, tokens/s", f"{sampling['rollout_tokens_per_second']:,.1f}", "", ""),
        ("a chunk, ms", f"{sampling['chunk_milliseconds']:,.1f}", "", ""),
        ("host gap of a chunk", f"{sampling['host_gap_fraction']:.2%}", "", ""),
        ("lane steps that drew a kept token", f"{sampling['useful_row_steps']:.1%}", "", ""),
    ]
    if update is not None:
        flops = figures["device"]["matmul_flops_per_second"] * figures["measured_on"]["devices"]
        found.append(
            (
                "update, tokens/s (fraction: MFU)",
                f"{update['tokens_per_second']:,.0f}",
                f"{flops * update['tokens'] / update['flops']:,.0f}",
                f"{update['mfu']:.1%}",
            )
        )
    return found


def _title(figures: Mapping[str, Any]) -> str:
    work, machine = figures["workload"], figures["measured_on"]
    kind = "random weights of " if work["random_weights"] else ""
    return (
        f"{kind}{work['model']}, {machine['dtype']}, on {machine['devices']} x {machine['device_kind']}: "
        f"{work['prompts']} prompts x {work['group_size']}"
    )


def _notes(figures: Mapping[str, Any]) -> str:
    work, device, compiled = figures["workload"], figures["device"], figures["compiled"]
    limits = figures["sampling"]["decode_limits_tokens_per_second"]
    return (
        f"prompts of {work['prompt_tokens'] / work['prompts']:.0f} tokens, completions of "
        f"{work['completion_tokens_mean']:.0f} (longest {work['completion_tokens_max']}, limit {work['token_limit']})\n"
        f"a device copies {device['copy_bytes_per_second'] / 1e9:,.1f} GB/s and multiplies "
        f"{device['matmul_flops_per_second'] / 1e12:,.3f} TFLOP/s, measured here\n"
        f"decode limits by cache, tokens/s: static {limits['static']:,.0f}, ragged {limits['ragged']:,.0f}, "
        f"shared {limits['shared']:,.0f}\n"
        f"compiled {compiled['programs']} programs in {compiled['seconds']:.1f} s, {compiled['decode_programs']} of "
        "them decode"
    )


def _writable(path: Path) -> Path:
    """The path, its folder made; found out before minutes are spent on measuring."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror}") from error
    return path


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"wanted a number above 0, got {text!r}")
    return value
