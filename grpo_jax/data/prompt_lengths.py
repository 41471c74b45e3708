# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""How long the prompts of each domain are: a table at the start of a run, and figures of each step."""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from grpo_jax.data.permutation import permutation
from grpo_jax.data.prompt_encoder import PromptEncoder
from grpo_jax.records import Problem, Prompt

logger = logging.getLogger(__name__)

MAX_MEASURED = 2000
"""Problems of a domain that are tokenised for the table; of larger domains a random choice."""
_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class PromptLengths:
    """Lengths of a domain's prompts in tokens, chat template included.

    Attributes:
        problems: Problems of the domain.
        measured: How many of them were tokenised; the other figures are of these.
        mean: Average length.
        shortest: Least length.
        percentiles: Percentile -> length that so many percent of the prompts do not exceed.
        longest: Greatest length.
        dropped: Longer than the limit and left out.
        truncated: Longer than the limit and cut.
    """

    problems: int
    measured: int
    mean: float
    shortest: int
    percentiles: Mapping[int, int]
    longest: int
    dropped: int
    truncated: int


class Problems(Protocol):
    """The problems of a domain, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Problem: ...


def measure_prompt_lengths(
    domains: Mapping[str, Problems], encode: PromptEncoder, max_measured: int = MAX_MEASURED
) -> dict[str, PromptLengths]:
    """Tokenise problems of each domain, the same ones at every call.

    Args:
        domains: Problems by domain, none without any.
        encode: Says what becomes of overlong prompts.
        max_measured: At most this many of each domain.

    Raises:
        ConfigError: A prompt is too long and such are errors.
    """
    found = {}
    for name, problems in domains.items():
        chosen = permutation(len(problems), "prompt lengths", name)[:max_measured]
        lengths = []
        dropped = truncated = 0
        for index in sorted(chosen.tolist()):
            problem = problems[index]
            prompt = encode(problem)
            if prompt is None or prompt.truncated:
                dropped += prompt is None
                truncated += prompt is not None
                lengths.append(encode.num_tokens(problem))
            else:
                lengths.append(len(prompt.token_ids))
        cuts = np.percentile(lengths, _PERCENTILES, method="inverted_cdf")
        found[name] = PromptLengths(
            problems=len(problems),
            measured=len(lengths),
            mean=float(np.mean(lengths)),
            shortest=min(lengths),
            percentiles={percent: int(cut) for percent, cut in zip(_PERCENTILES, cuts, strict=True)},
            longest=max(lengths),
            dropped=dropped,
            truncated=truncated,
        )
    return found


def likely_longest(lengths: Mapping[str, PromptLengths], num_prompts: int, limit: int) -> int:
    """The length in tokens that the longest of so many prompts has most likely, to the next percentile above.

    The longest of n draws is below the quantile q with probability q^n; this is the one of even odds.
    """
    wanted = 100 * 0.5 ** (1 / num_prompts)
    longest = [
        next((cut for percent, cut in sorted(own.percentiles.items()) if percent >= wanted), own.longest)
        for own in lengths.values()
    ]
    return min(limit, max(longest))


def report_prompt_lengths(lengths: Mapping[str, PromptLengths], max_prompt_tokens: int, path: Path | None) -> None:
    """Write the table to the log, and to a file where a path is given."""
    if path is not None:
        write_prompt_lengths(path, lengths, max_prompt_tokens)
    for line in prompt_length_table(lengths, max_prompt_tokens).splitlines():
        logger.info("%s", line)


def write_prompt_lengths(path: Path, lengths: Mapping[str, PromptLengths], max_prompt_tokens: int) -> None:
    """Write the table as JSON: `max_prompt_tokens`, and `domains` with the figures of each."""
    table = {"max_prompt_tokens": max_prompt_tokens, "domains": {name: asdict(own) for name, own in lengths.items()}}
    path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def prompt_length_table(lengths: Mapping[str, PromptLengths], max_prompt_tokens: int) -> str:
    """The table as text, a line a domain."""
    head = ["domain", "problems", "measured", "mean", "min", *(f"p{p}" for p in _PERCENTILES), "max", "dropped", "cut"]
    rows = [head]
    for name, own in lengths.items():
        figures = [own.shortest, *own.percentiles.values(), own.longest, own.dropped, own.truncated]
        rows.append([name, str(own.problems), str(own.measured), f"{own.mean:.1f}", *map(str, figures)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([f"prompt lengths in tokens, limit {max_prompt_tokens}:", *lines])


def prompt_metrics(prompts: Sequence[Prompt], num_dropped: Mapping[str, int]) -> dict[str, float]:
    """Figures of a step's prompts by domain.

    Args:
        prompts: What this host drew.
        num_dropped: Overlong problems of each domain found so far.

    Returns:
        `prompt_length/{domain}/mean` in tokens and `/truncated`, of the domains drawn; `/dropped` of all.
    """
    tokens: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    truncated: Counter[str] = Counter()
    for prompt in prompts:
        name = prompt.problem.domain
        counts[name] += 1
        tokens[name] += len(prompt.token_ids)
        truncated[name] += prompt.truncated
    found = {f"prompt_length/{name}/dropped": float(count) for name, count in num_dropped.items()}
    for name, count in counts.items():
        found[f"prompt_length/{name}/mean"] = tokens[name] / count
        found[f"prompt_length/{name}/truncated"] = float(truncated[name])
    return found
