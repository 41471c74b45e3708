# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The console script `grpo-jax`: reads the command line and calls the one function that does the job.

Heavy modules are imported inside the commands, so that `--help` and mistakes answer at once.
Exit codes: 0 done; 1 a run that cannot go on (one line says why) or an internal fault (with its traceback); 2 a mistake
in what was asked; 3 told to stop and out of time, so that only what was saved before stands; 130 interrupted.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpo_jax
from grpo_jax.cli_bench import add_arguments as add_bench_arguments
from grpo_jax.cli_bench import run_bench
from grpo_jax.cli_prepare import add_arguments as add_prepare_arguments
from grpo_jax.cli_prepare import run_prepare
from grpo_jax.overrides import load_config
from grpo_jax.records import ConfigError, RunStoppedError

OVERRIDES_HELP = """\
CONFIG is a Python file with a function config(); words KEY=VALUE after it change single values, the last one wins:
  training.learning_rate=1e-5  domains.math.rewards.math=2  'data.eval_sources=["math::my.parquet@test"]'
A whole section takes the name of a preset: model=qwen3_1p7b is model/qwen3_1p7b.py beside CONFIG."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; default those of this process.

    Returns:
        The exit code.
    """
    try:
        arguments = parse_arguments(argv)
        arguments.command(arguments)
    except ConfigError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except RunStoppedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `overrides` holds the KEY=VALUE words in their order, wherever they stood."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    wrong = [word for word in rest if word.startswith("-") or not arguments.takes_overrides]
    if wrong:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    arguments.overrides = rest
    return arguments


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; KEY=VALUE words are left to `parse_arguments`."""
    parser = argparse.ArgumentParser(
        prog="grpo-jax",
        description="Improve a language model by reinforcement learning with verifiable rewards.",
        epilog="grpo-jax COMMAND --help says more about each.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"grpo-jax {grpo_jax.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], None], summary: str, config: bool) -> Any:
        options = "CONFIG [KEY=VALUE ...] [options]" if config else None
        one = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            usage=f"grpo-jax {name} {options}" if options else None,
            epilog=OVERRIDES_HELP if config else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        one.set_defaults(command=command, takes_overrides=config)
        if config:
            one.add_argument("config", metavar="CONFIG", help="path of the experiment's Python file")
        return one

    train = add("train", run_train, "train a model and write its run folder", config=True)
    train.add_argument(
        "--resume",
        default="auto",
        metavar="auto|never|DIR",
        help="auto: go on from the run's newest checkpoint, if any; never: start again; DIR: go on from a checkpoint",
    )
    sample = add("sample", run_sample, "write completions of one prompt", config=True)
    sample.add_argument("--prompt", required=True, metavar="TEXT", help="the user's message")
    sample.add_argument("--n", type=_positive, default=1, metavar="N", help="completions (default 1)")
    sample.add_argument("--temperature", type=float, metavar="T", help="0 is greedy (default: the config's)")
    sample.add_argument("--output", metavar="F.jsonl", help="write text, ids and logprobs here instead of printing")
    evaluate = add("evaluate", run_evaluate, "measure accuracy on the held-out problems", config=True)
    evaluate.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="a checkpoint, a run, a Hugging Face folder or a .gguf file (default: the config's model)",
    )
    evaluate.add_argument("--output", metavar="F.json", help="write the figures here too")
    evaluate.add_argument("--examples", metavar="F.parquet", help="write every completion with its scores")
    export = add("export", run_export, "write weights as a Hugging Face folder", config=False)
    export.add_argument("run", metavar="RUN_OR_CHECKPOINT", help="a run's folder or one checkpoint in it")
    export.add_argument("--output", required=True, metavar="DIR", help="folder to write")
    export.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="default: float32")
    export.add_argument("--adapter", action="store_true", help="the LoRA adapters alone, as peft loads them")
    add_prepare_arguments(add("prepare", run_prepare, "turn a raw public dataset into problems", config=False))
    preview = add("preview", run_preview, "show which problems each step would draw", config=True)
    preview.add_argument("--steps", type=_positive, metavar="N", help="steps to draw (default: the whole run)")
    preview.add_argument("--output", metavar="F.jsonl", help="write one JSON object a drawn problem")
    preview.add_argument("--report", metavar="F.html|F.png", help="write a picture of mix and difficulty over the run")
    plan = add("plan", run_plan, "show every derived size and the memory that a run needs", config=True)
    plan.add_argument("--devices", type=_positive, metavar="N", help="plan for so many devices (default: this host's)")
    plan.add_argument("--device-memory-gib", type=float, metavar="X", help="memory of one (default: this host's)")
    score = add("score", run_score, "score given completions without a model", config=True)
    score.add_argument("--input", required=True, metavar="F.jsonl", help='rows {"problem": {...}, "completion": "..."}')
    score.add_argument("--output", required=True, metavar="G.jsonl", help="rewards, a row each, in the same order")
    score.add_argument("--step", type=_positive, metavar="N", help="the step whose reward phase counts (default: all)")
    score.add_argument("--workers", type=_positive, metavar="N", help="worker processes (default: the config's)")
    add_bench_arguments(
        add("bench", run_bench, "measure tokens/s of sampling and update on this hardware", config=True)
    )
    report = add("report", run_report, "write a self-contained HTML page about runs", config=False)
    report.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder; several are compared")
    report.add_argument("--output", metavar="F.html", help="the page's path (default: report.html of the first run)")
    study = add("study", run_study_command, "train domains one by one and together, and compare", config=True)
    study.add_argument(
        "--mode",
        default="all",
        metavar="sequential|mixed|mixed_without_kl|all",
        help="which runs to train; what earlier starts finished is compared too (default: all)",
    )
    add("doctor", run_doctor, "say what this host offers", config=False)
    return parser


def run_train(arguments: argparse.Namespace) -> None:
    """`grpo-jax train`: train, then say where the results are and how the reward moved."""
    config = load_config(arguments.config, arguments.overrides)
    import jax

    from grpo_jax.parallel.processes import is_main, leave
    from grpo_jax.tracking.metrics import read_metrics
    from grpo_jax.tracking.summary import print_summary
    from grpo_jax.training.loop import train

    try:
        result = train(config, resume=arguments.resume)
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        if isinstance(error, RunStoppedError | ConfigError):
            print(f"error: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        leave(2 if isinstance(error, ConfigError) else 1)
    if not is_main():
        return
    print_summary(read_metrics(result.run_folder / "metrics.jsonl"))
    if result.report:
        print(f"report:      {result.report}")
    if result.finished:
        print(f"final model: {result.final_model}")
    else:
        print("stopped early; the same command goes on from here")
    moved = result.last_reward_mean - result.first_reward_mean
    print(
        f"mean reward: {result.first_reward_mean:.3f} -> {result.last_reward_mean:.3f} ({moved:+.3f}), "
        f"first to last fifth of {result.steps} steps"
    )


def run_sample(arguments: argparse.Namespace) -> None:
    """`grpo-jax sample`: print completions or write them as JSONL."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.rollout.text import sample_text

    rows = sample_text(config, arguments.prompt, arguments.n, arguments.temperature)
    if arguments.output:
        lines = [json.dumps({"prompt": arguments.prompt, **row}, ensure_ascii=False) for row in rows]
        print(_write(arguments.output, "\n".join(lines) + "\n"))
        return
    for number, row in enumerate(rows, start=1):
        if len(rows) > 1:
            print(f"--- {number} of {len(rows)} ({len(row['token_ids'])} tokens, {row['finish_reason']})")
        print(row["text"])


def run_evaluate(arguments: argparse.Namespace) -> None:
    """`grpo-jax evaluate`: print figures by name, and write them as JSON where asked."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.evaluation.evaluator import evaluate

    figures, groups = evaluate(config, arguments.checkpoint)
    for name, value in figures.items():
        print(f"{name}  {value:.4f}" if isinstance(value, float) else f"{name}  {value}")
    if arguments.output:
        print(_write(arguments.output, json.dumps(figures, indent=2) + "\n"))
    if arguments.examples:
        from grpo_jax.evaluation.examples import write_examples

        print(write_examples(arguments.examples, groups))


def run_plan(arguments: argparse.Namespace) -> None:
    """`grpo-jax plan`: print sizes and memory; exit code 0 whether or not it fits."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.cli_plan import describe_plan

    print(describe_plan(config, arguments.devices, arguments.device_memory_gib))


def run_export(arguments: argparse.Namespace) -> None:
    """`grpo-jax export`: write a Hugging Face folder and print its path."""
    from grpo_jax.checkpoint.export import export_run

    print(export_run(arguments.run, arguments.output, arguments.dtype, arguments.adapter))


def run_preview(arguments: argparse.Namespace) -> None:
    """`grpo-jax preview`: print how the first steps are mixed; no model is loaded."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.cli_preview import show_preview

    show_preview(config, arguments.steps, arguments.output, arguments.report)


def run_score(arguments: argparse.Namespace) -> None:
    """`grpo-jax score`: write a file of rewards and say where."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.cli_score import score_file

    output = Path(arguments.output)
    rows = score_file(config, Path(arguments.input), output, arguments.step, arguments.workers)
    print(f"{output}: {rows} rows")


def run_report(arguments: argparse.Namespace) -> None:
    """`grpo-jax report`: write the page and print its path."""
    from grpo_jax.tracking.report import write_report

    print(write_report([Path(run) for run in arguments.runs], output=arguments.output))


def run_study_command(arguments: argparse.Namespace) -> None:
    """`grpo-jax study`: train the runs of the forgetting study, print their comparison and its folder."""
    config = load_config(arguments.config, arguments.overrides)
    from grpo_jax.cli_study import run_study

    print(run_study(config, arguments.mode))


def run_doctor(arguments: argparse.Namespace) -> None:
    """`grpo-jax doctor`: print what this host offers."""
    from grpo_jax.cli_doctor import describe_host

    print(describe_host())


def _write(path: str, text: str) -> Path:
    """Write a result's file, its folder made where absent."""
    output = Path(path)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {path}: {error.strerror}") from error
    return output


def _positive(text: str) -> int:
    """An int above 0, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
