# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The words that name a source of problems: `domain::dataset@split`.

math::data/gsm8k/*.parquet            files of the problem schema; @train keeps rows whose extra_info.split says so
planning::data/pddl                   all .jsonl and .parquet files of a folder, such as one in the planning layout
math::openai/gsm8k@train              a Hugging Face dataset; ?name='main'&revision='...' choose its configuration
logic::reasoning_gym/syllogism?seed=3&size=500@test
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grpo_jax.records import ConfigError

REASONING_GYM = "reasoning_gym/"
FILE_ENDINGS = (".parquet", ".jsonl")
_SPLIT = re.compile(r"[\w.\-\[\]:%+]+")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One parsed source.

    Attributes:
        text: The words as the user wrote them, for messages.
        kind: Files, a dataset of the hub, or a reasoning_gym task.
        dataset: Path, glob or folder, hub name, or the task's name without `reasoning_gym/`.
        domain: None where each row names its own.
        split: None where left out.
        parameters: Typed values after `?`, sorted by name.
    """

    text: str
    kind: Literal["files", "hub", "reasoning_gym"]
    dataset: str
    domain: str | None = None
    split: str | None = None
    parameters: tuple[tuple[str, Any], ...] = ()


def parse_source(text: str) -> SourceSpec:
    """Parse one entry of `data.train_sources` or `data.eval_sources`.

    Raises:
        ConfigError: A part is empty, a parameter is not `name=literal`, or files are given parameters.
    """
    domain, colons, rest = text.partition("::")
    if not colons:
        domain, rest = "", text
    elif not domain:
        raise ConfigError(f"source {text!r} has no domain before '::'; write domain::dataset@split")
    head, at, tail = rest.rpartition("@")
    split = None
    if at and not tail:
        raise ConfigError(f"source {text!r} has no split after '@'; write domain::dataset@split")
    if at and "?" in tail and "?" not in head and not rest.endswith(FILE_ENDINGS):
        raise ConfigError(f"source {text!r}: parameters stand before the split; write domain::dataset?name=value@split")
    if at and _SPLIT.fullmatch(tail) and not tail.endswith(FILE_ENDINGS):
        rest, split = head, tail
    if rest.startswith(REASONING_GYM):
        kind = "reasoning_gym"
        dataset, _, query = rest.removeprefix(REASONING_GYM).partition("?")
    elif rest.endswith(FILE_ENDINGS) or _is_folder(rest):
        # `?` is a wildcard of globs here, never the start of parameters.
        kind, dataset, query = "files", rest, ""
    else:
        kind = "hub"
        dataset, _, query = rest.partition("?")
    if not dataset:
        raise ConfigError(f"source {text!r} names no dataset; write domain::dataset@split")
    return SourceSpec(text, kind, dataset, domain or None, split, _parameters(query, text))


def _is_folder(dataset: str) -> bool:
    """Whether this is a folder, or a path that no dataset of the hub can have as its name."""
    name = dataset.partition("?")[0]
    return bool(name) and (name.startswith(("/", ".")) or name.count("/") > 1 or Path(name).is_dir())


def _parameters(query: str, text: str) -> tuple[tuple[str, Any], ...]:
    parameters: dict[str, Any] = {}
    for word in query.split("&") if query else ():
        name, equals, literal = word.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError(f"source {text!r}: parameter {word!r} is not of the form name=value")
        if name in parameters:
            raise ConfigError(f"source {text!r} gives parameter {name} twice")
        try:
            parameters[name] = ast.literal_eval(literal)
        except (ValueError, SyntaxError) as error:
            raise ConfigError(
                f"source {text!r}: parameter {name}={literal} is not a Python literal; put words in quotes, "
                "write True and False with a capital"
            ) from error
    return tuple(sorted(parameters.items()))
