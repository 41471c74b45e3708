# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The forgetting study: which runs it is made of, and what their evaluations say when laid side by side.

At an equal number of steps, prompts and completions, and with one seed:

    sequential          one run a domain, in the order of `domains`, each going on from the model before it
    mixed               one run on all domains at once
    mixed_without_kl    the same with nothing that holds the policy near its start
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float64

from grpo_jax.config import RunConfig
from grpo_jax.evaluation.forgetting import SCORE, Transfer, transfer
from grpo_jax.records import ConfigError

Mode = Literal["sequential", "mixed", "mixed_without_kl"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Stage:
    """One run of a study.

    Attributes:
        config: Its config; the model's path is the study's own for the first stage of a mode.
        continues: Whether it starts from the model of the stage before it.
    """

    config: RunConfig
    continues: bool = False


def study_stages(config: RunConfig, mode: Mode) -> list[Stage]:
    """The runs of one mode, in order.

    Args:
        config: The run that the study is about; `training.max_steps` is the budget of each mode.
        mode: Which.

    Returns:
        Stages whose folders are `OUTPUT_DIR/EXP_NAME/MODE/...`. Every stage evaluates all domains at its end; those
        that go on from another leave out the evaluation at the start, which would repeat that one's last.

    Raises:
        ConfigError: The config cannot be studied in this mode.
    """
    domains = [*config.domains]
    total = config.training.max_steps
    if len(domains) < 2:
        raise ConfigError(f"a study compares domains, and the config has {len(domains)}; give it at least two")
    if not config.data.eval_sources:
        raise ConfigError("data.eval_sources is empty; a study needs held-out problems of every domain")
    if config.data.train_domains:
        raise ConfigError("data.train_domains is set; a study chooses the domains of each run itself, leave it out")
    if total is None:
        raise ConfigError("training.max_steps is None; a study needs the number of steps that each mode gets")
    folder = str(Path(config.output_dir) / config.exp_name / mode)
    evaluation = replace(config.evaluation, every_steps=config.evaluation.every_steps or total, before_training=True)
    base = replace(config, output_dir=folder, evaluation=evaluation)
    if mode == "mixed":
        return [Stage(replace(base, exp_name="all"))]
    if mode == "mixed_without_kl":
        if not _uses_kl(config):
            raise ConfigError("objective.kl_coefficient is 0 already: mixed_without_kl would repeat mixed")
        without = {name: replace(domain, kl_coefficient=None) for name, domain in config.domains.items()}
        objective = replace(config.objective, kl_coefficient=0.0, kl_target=None)
        return [Stage(replace(base, exp_name="all", domains=without, objective=objective))]
    if total < len(domains):
        raise ConfigError(f"training.max_steps={total} cannot be shared by {len(domains)} domains; raise it")
    stages = []
    for number, name in enumerate(domains):
        steps = total // len(domains) + (number < total % len(domains))
        stage = replace(
            base,
            exp_name=f"{number + 1}-{name}",
            data=replace(config.data, train_domains=(name,), mixing="weighted"),
            training=replace(config.training, max_steps=steps),
            evaluation=replace(evaluation, before_training=number == 0),
        )
        stages.append(Stage(stage, continues=number > 0))
    return stages


def modes_of(config: RunConfig, asked: str) -> list[Mode]:
    """The modes that a word of the command line means: one of them, or `all` that make sense for the config.

    Raises:
        ConfigError: There is no such mode.
    """
    if asked == "all":
        return [mode for mode in MODES if mode != "mixed_without_kl" or _uses_kl(config)]
    if asked not in MODES:
        raise ConfigError(f"--mode {asked}: no such mode; known are {', '.join(MODES)} and all")
    return [asked]


@dataclass(frozen=True)
class Outcome:
    """What one mode came to.

    Attributes:
        start: Score of each domain before training, [T].
        scores: Scores after each stage, [stages, T].
        steps: Steps over all stages.
        seconds: Their wall time, evaluations left out.
        transfer: The summary; only where stages and domains are as many.
    """

    start: Float64[np.ndarray, " T"]
    scores: Float64[np.ndarray, "stages T"]
    steps: int
    seconds: float
    transfer: Transfer | None


def outcome_of(domains: Sequence[str], stages: Sequence[Sequence[Mapping[str, float]]]) -> Outcome:
    """Read a mode's outcome off its runs' metrics.

    Args:
        domains: In the order of the stages.
        stages: Rows of `metrics.jsonl` of each stage's run.

    Raises:
        ConfigError: A run was not evaluated at its start or end.
    """
    start = _scores(stages[0][0], domains)
    scores = np.array([_scores(rows[-1], domains) for rows in stages])
    rows = [row for stage in stages for row in stage]
    return Outcome(
        start=start,
        scores=scores,
        steps=sum(int(stage[-1]["step"]) for stage in stages),
        seconds=sum(row.get("time/step_seconds", 0.0) for row in rows),
        transfer=transfer(scores, start) if len(scores) == len(domains) else None,
    )


def comparison_table(domains: Sequence[str], outcomes: Mapping[str, Outcome]) -> str:
    """The study as a Markdown table: final score of each domain (change since the start), mean, and forgetting."""
    header = ["", *domains, "mean", "forgetting", "backward", "forward", "steps", "minutes"]
    start = next(iter(outcomes.values())).start
    lines = [header, ["start", *(f"{value:.3f}" for value in start), f"{start.mean():.3f}", *["–"] * 5]]
    for mode, outcome in outcomes.items():
        final = outcome.scores[-1]
        cells = [f"{value:.3f} ({value - before:+.3f})" for value, before in zip(final, outcome.start, strict=True)]
        moved = outcome.transfer
        figures = (moved.average_forgetting, moved.backward_transfer, moved.forward_transfer) if moved else ()
        told = [f"{value:+.3f}" for value in figures] or ["–"] * 3
        lines.append([mode, *cells, f"{final.mean():.3f}", *told, str(outcome.steps), f"{outcome.seconds / 60:.1f}"])
    body = ["| " + " | ".join(line) + " |" for line in lines]
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    return "\n".join([body[0], rule, *body[1:]]) + "\n"


def outcome_as_dict(domains: Sequence[str], outcome: Outcome) -> dict[str, Any]:
    """An outcome as `study.json` holds it."""
    return {
        "domains": list(domains),
        "start": outcome.start.tolist(),
        "scores": outcome.scores.tolist(),
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        **(vars(outcome.transfer) if outcome.transfer else {}),
    }


def _uses_kl(config: RunConfig) -> bool:
    return config.objective.kl_coefficient > 0 or any(own.kl_coefficient for own in config.domains.values())


def _scores(row: Mapping[str, float], domains: Sequence[str]) -> Float64[np.ndarray, " T"]:
    missing = [name for name in domains if f"eval/{name}/{SCORE}" not in row]
    if missing:
        raise ConfigError(
            f"step {int(row['step'])} has no evaluation of {', '.join(missing)}; "
            "data.eval_sources must cover every domain"
        )
    return np.array([row[f"eval/{name}/{SCORE}"] for name in domains], np.float64)
