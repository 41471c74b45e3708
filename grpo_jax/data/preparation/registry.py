# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The datasets whose raw public rows are known, by the name of the `prepare` command and by their names on the hub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grpo_jax.data.preparation import (
    arc,
    bfcl,
    code_contests,
    deepscaler,
    gsm8k,
    hendrycks_math,
    humaneval,
    mbpp,
    nq_open,
    strategyqa,
)
from grpo_jax.data.rows import Row


@dataclass(frozen=True, slots=True)
class Preparation:
    """How one dataset's raw rows become rows of the problem schema.

    Attributes:
        summary: One line for `prepare --list`.
        convert_row: (raw row, split, index, place, options by name) -> row; raises ConfigError on a row without a
            usable problem.
        is_raw: Whether a row without `reward_model` is one of this dataset, by its fields.
        hub_names: Names of the dataset on the hub.
        hub_parameters: What `datasets.load_dataset` needs beside the name.
        default_split: Split of rows whose file and fields do not tell it.
        split_of: The split that a row itself tells.
        options: Settings of `convert_row`.
        join: (raw row, its file, place) -> the row with what companion files say of it.
        companion_folders: Folders of such files, which hold no problems of their own.
        note: What the report says of a converted row, if anything.
    """

    summary: str
    convert_row: Callable[..., dict[str, Any]]
    is_raw: Callable[[Row], bool]
    hub_names: tuple[str, ...] = ()
    hub_parameters: Mapping[str, Any] = field(default_factory=dict)
    default_split: str = "train"
    split_of: Callable[[Row], str | None] = lambda row: None
    options: tuple[str, ...] = ()
    join: Callable[[Row, Path, str], Row] | None = None
    companion_folders: tuple[str, ...] = ()
    note: Callable[[Row], str | None] = lambda row: None


PREPARATIONS: dict[str, Preparation] = {
    "gsm8k": Preparation(
        summary="GSM8K: grade-school word problems, answer after ####",
        convert_row=gsm8k.convert_row,
        is_raw=gsm8k.is_raw,
        hub_names=("openai/gsm8k", "gsm8k"),
        hub_parameters={"name": "main"},
    ),
    "math": Preparation(
        summary="MATH (Hendrycks): competition problems by level, answer in the solution's last box",
        convert_row=hendrycks_math.convert_row,
        is_raw=hendrycks_math.is_raw,
        hub_names=(
            "EleutherAI/hendrycks_math",
            "DigitalLearningGmbH/MATH-lighteval",
            "nlile/hendrycks-MATH-benchmark",
            "HuggingFaceH4/MATH-500",
        ),
    ),
    "mbpp": Preparation(
        summary="MBPP, full and sanitized: Python functions checked by asserts, the first one shown",
        convert_row=mbpp.convert_row,
        is_raw=mbpp.is_raw,
        hub_names=("google-research-datasets/mbpp", "mbpp"),
        hub_parameters={"name": "full"},
        split_of=mbpp.split_of,
        options=("shown_tests",),
    ),
    "humaneval": Preparation(
        summary="HumanEval: Python functions to complete, checked by check(candidate)",
        convert_row=humaneval.convert_row,
        is_raw=humaneval.is_raw,
        hub_names=("openai/openai_humaneval", "openai_humaneval"),
        default_split="test",
    ),
    "code_contests": Preparation(
        summary="CodeContests, Codeforces, LeetCode and their like: stdin/stdout lists or pairs, functional checks",
        convert_row=code_contests.convert_row,
        is_raw=code_contests.is_raw,
        hub_names=("deepmind/code_contests", "BAAI/TACO", "codeparrot/apps"),
    ),
    "arc": Preparation(
        summary="ARC-Easy and ARC-Challenge: science questions with options",
        convert_row=arc.convert_row,
        is_raw=arc.is_raw,
        hub_names=("allenai/ai2_arc", "ai2_arc"),
        hub_parameters={"name": "ARC-Easy"},
    ),
    "strategyqa": Preparation(
        summary="StrategyQA: yes/no questions of several hops",
        convert_row=strategyqa.convert_row,
        is_raw=strategyqa.is_raw,
        hub_names=("ChilleD/StrategyQA", "wics/strategy-qa"),
    ),
    "nq_open": Preparation(
        summary="NQ-Open and EfficientQA: search questions with all accepted short answers",
        convert_row=nq_open.convert_row,
        is_raw=nq_open.is_raw,
        hub_names=("google-research-datasets/nq_open", "nq_open"),
    ),
    "deepscaler": Preparation(
        summary="DeepScaleR, AIME, AMC, Minerva, OlympiadBench: competition problems with short answers",
        convert_row=deepscaler.convert_row,
        is_raw=deepscaler.is_raw,
        hub_names=(
            "agentica-org/DeepScaleR-Preview-Dataset",
            "HuggingFaceH4/aime_2024",
            "Maxwell-Jia/AIME_2024",
            "math-ai/aime24",
            "math-ai/aime25",
            "math-ai/amc23",
            "math-ai/minervamath",
            "math-ai/olympiadbench",
            "AI-MO/aimo-validation-aime",
            "AI-MO/aimo-validation-amc",
        ),
    ),
    "bfcl": Preparation(
        summary="BFCL: function-calling questions joined with their possible answers",
        convert_row=bfcl.convert_row,
        is_raw=bfcl.is_raw,
        default_split="test",
        join=bfcl.join_answers,
        companion_folders=(bfcl.ANSWERS, bfcl.DOCUMENTS),
        note=bfcl.note,
    ),
}

TREES = {
    "pddl": "PDDL: a tree of domains with their problems -> a folder with one .jsonl a domain and the files beside it",
    "planning_generated": "generated PDDL problems: --input default or words like 'count=150 seed=0' -> such a folder",
}
"""Datasets that become folders and not one file -> one line for `prepare --list`."""


def by_hub_name(dataset: str) -> Preparation | None:
    """The preparation of a dataset of the hub, where it is a known one."""
    return next((known for known in PREPARATIONS.values() if dataset in known.hub_names), None)


def by_fields(row: Row) -> Preparation | None:
    """The preparation of a raw row, told by its fields; None for rows of the problem schema and unknown ones."""
    if "reward_model" in row:
        return None
    return next((known for known in PREPARATIONS.values() if known.is_raw(row)), None)


def summaries() -> dict[str, str]:
    """All names that `prepare` takes, sorted, with one line on each."""
    return dict(sorted({**{name: known.summary for name, known in PREPARATIONS.items()}, **TREES}.items()))
