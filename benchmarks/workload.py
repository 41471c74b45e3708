# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What both sides of a comparison are given to do and the timings they hand back. Imports neither JAX nor torch."""

import bisect
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grpo_jax.records import ConfigError, Message, Problem

TEMPERATURE = 1.0
LEARNING_RATE = 1e-6
KL_COEFFICIENT = 0.04
MAX_GRAD_NORM = 1.0

_WORKLOAD_FILE = "workload.json"
_PROMPTS_FILE = "prompt_ids.json"
_STOPS_FILE = "stop_ids.json"
_ROLLOUTS_FILE = "rollouts-{}.json"


@dataclass(frozen=True)
class Workload:
    """One step's work, and how often it is done.

    Attributes:
        model: `model.path` of our config; the other side gets our float32 export of it.
        questions: User messages; the model's chat template goes around them.
        group_size: Completions of each question.
        completion_tokens: Exact length of every completion; where sampling alone is compared, the longest that one may
            be.
        steps: Measured steps, after one warm-up step.
        trl_as_shipped: Leave out the change in TRL's favour that `trl_side.py` describes.
        rows_at_once: Completions that TRL takes through one forward and backward pass; None is all.
        given_rollouts: The other side learns from the completions that ours sampled in the same step.
    """

    model: str
    questions: tuple[str, ...]
    group_size: int
    completion_tokens: int
    steps: int
    trl_as_shipped: bool = False
    rows_at_once: int | None = None
    given_rollouts: bool = False

    @property
    def tokens_per_step(self) -> int:
        """Tokens sampled in a step."""
        return len(self.questions) * self.group_size * self.completion_tokens

    def save(self, folder: Path) -> None:
        """Write it for the processes of both sides."""
        (folder / _WORKLOAD_FILE).write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Workload":
        """Read what `save` wrote."""
        fields = json.loads((folder / _WORKLOAD_FILE).read_text(encoding="utf-8"))
        return cls(**{**fields, "questions": tuple(fields["questions"])})


@dataclass(frozen=True)
class StepSeconds:
    """Wall time of one step.

    Attributes:
        sampling: Of drawing the completions.
        learning: Of scoring by the reference, forward and backward pass, and the optimizer.
        step: Of everything from the prompts to the new weights; more than the sum of the two.
        grad_norm: Of the update, before clipping.
    """

    sampling: float
    learning: float
    step: float
    grad_norm: float


@dataclass(frozen=True)
class SideTimings:
    """What one process measured.

    Attributes:
        warm_up_seconds: The uncounted first step, compilation included.
        steps: The measured ones.
        settings: Versions and switches, for the record.
    """

    warm_up_seconds: float
    steps: tuple[StepSeconds, ...]
    settings: dict[str, str | int | bool]

    def save(self, path: Path) -> None:
        """Write it for the parent process."""
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "SideTimings":
        """Read what `save` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            fields["warm_up_seconds"], tuple(StepSeconds(**step) for step in fields["steps"]), fields["settings"]
        )


def read_questions(path: Path, count: int) -> tuple[str, ...]:
    """The first questions of a raw GSM8K file.

    Raises:
        ConfigError: The file is absent, no GSM8K file, or too short.
    """
    if not path.is_file():
        raise ConfigError(f"--questions {path}: no such file; give the train.jsonl of GSM8K")
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
    if len(rows) < count or any("question" not in row for row in rows):
        raise ConfigError(f"--questions {path}: wanted {count} rows with a field question, as GSM8K has them")
    return tuple(row["question"] for row in rows)


def lengthen(
    questions: tuple[str, ...], tokens: int, encode_chat: Callable[[list[Message]], list[int]]
) -> tuple[str, ...]:
    """Each question with the following ones behind it, as many words as its prompt of at most `tokens` has room for.

    Raises:
        ConfigError: A question alone is longer.
    """

    def length(words: list[str]) -> int:
        return len(encode_chat([{"role": "user", "content": " ".join(words)}]))

    found = []
    for first, question in enumerate(questions):
        words = " ".join([question, *questions[first + 1 :], *questions]).split()
        # A word is one token or more.
        count = bisect.bisect_right(range(min(len(words), tokens) + 1), tokens, key=lambda n: length(words[:n])) - 1
        if count < len(question.split()):
            raise ConfigError(f"--prompt-tokens {tokens}: question {first + 1} is longer; give more")
        found.append(" ".join(words[:count]))
    return tuple(found)


def save_rollouts(folder: Path, step: int, completions: list[list[list[int]]]) -> None:
    """Write the ids of a step's completions, by question and sample, for the other side to learn from."""
    (folder / _ROLLOUTS_FILE.format(step)).write_text(json.dumps(completions), encoding="utf-8")


def load_rollouts(folder: Path, step: int) -> list[list[list[int]]]:
    """Read what `save_rollouts` wrote."""
    return json.loads((folder / _ROLLOUTS_FILE.format(step)).read_text(encoding="utf-8"))


def save_prompt_ids(folder: Path, prompt_ids: list[list[int]], stop_ids: tuple[int, ...]) -> None:
    """Write the ids that our side gives the model and those that end a completion, for the other side to compare."""
    (folder / _PROMPTS_FILE).write_text(json.dumps(prompt_ids), encoding="utf-8")
    (folder / _STOPS_FILE).write_text(json.dumps(stop_ids), encoding="utf-8")


def load_prompt_ids(folder: Path) -> list[list[int]]:
    """Read what `save_prompt_ids` wrote."""
    return json.loads((folder / _PROMPTS_FILE).read_text(encoding="utf-8"))


def load_stop_ids(folder: Path) -> list[int]:
    """Read the ids that end a completion."""
    return json.loads((folder / _STOPS_FILE).read_text(encoding="utf-8"))


def reward_of_text(text: str) -> float:
    """A reward that costs nothing and differs within a group, so that no group is without gradient."""
    return float(len(text) % 7)


def reward(problem: Problem, completion: str) -> float:
    """`reward_of_text` as our reward workers call it."""
    return reward_of_text(completion)
