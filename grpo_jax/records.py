# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The records that stages exchange on the host, and the protocols between them.

Nothing here imports JAX: reward workers and data loaders start with this file and stay light.

Letters in array shapes, everywhere in the package:
B rollouts (rows), P prompts or prompt tokens, G group (completions of one prompt), T sequence, C completion,
V vocabulary, D model width, N query heads, K key-value heads, H head size, S cache slots, L layers, F MLP width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float32, Int32

Message = Mapping[str, str]
"""One turn of a conversation: {"role": "system" | "user" | "assistant", "content": text}."""

FinishReason = Literal["stop", "length"]
"""`stop`: a stop token was sampled, or the token that completes a stop string; it is the last token kept. `length`: the
row's token limit was reached."""


class ConfigError(ValueError):
    """A mistake in the user's input. Its message is one line that names the field, file or value and the remedy.

    The command line prints the message alone and exits 2; it never shows a traceback for this class.
    """


class RunStoppedError(RuntimeError):
    """A run cannot go on, for a reason that its message says in full; its last checkpoint stands.

    The command line prints the message alone and exits 1.
    """


class RolloutEnd(StrEnum):
    """How a rollout function came to its end. The first three leave a trajectory, the others none."""

    DONE = "done"
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    RAISED = "raised"
    HUNG = "hung"
    NONSENSE = "nonsense"

    @property
    def failed(self) -> bool:
        """Whether there is nothing to learn from."""
        return self in (RolloutEnd.RAISED, RolloutEnd.HUNG, RolloutEnd.NONSENSE)


class RewardStatus(StrEnum):
    """The verdict on one completion. Only `INVALID` (the checker's own failure) has no value."""

    PASS = "pass"
    FAIL = "fail"
    TIMEOUT = "timeout"
    NO_ANSWER = "no_answer"
    UNPARSABLE = "unparsable"
    UNSUPPORTED = "unsupported"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Problem:
    """One training or evaluation row, in the terms of the verl parquet schema.

    Attributes:
        id: Unique in a run and stable over runs, for example `reasoning_gym/chain_sum@train#17`.
        domain: Key into `RunConfig.domains`.
        messages: The prompt as chat messages, after the domain's template was applied.
        ground_truth: What the verifier compares with: a string, a list of strings, or a JSON object.
        data_source: Name of the dataset, as in the verl schema.
        ability: Free label of the verl schema.
        reward_style: `reward_model.style` of the verl schema.
        difficulty: A score where larger is harder, or None where unknown.
        extra: `extra_info` of the verl schema; JSON values only, so that it travels to worker processes.
    """

    id: str
    domain: str
    messages: tuple[Message, ...]
    ground_truth: Any
    data_source: str = ""
    ability: str = ""
    reward_style: str = "rule"
    difficulty: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A problem with the token ids that the policy sees.

    Attributes:
        problem: What is asked.
        token_ids: The conversation by the chat template.
        bucket: Difficulty bucket of a drawn problem; None where its domain has no difficulty rule.
        temperature: To sample at, where the curriculum sets it; None takes the domain's.
        index: Number of the problem in its domain, where it was drawn for training.
        truncated: Whether the user's text was cut to the limit; `problem` then holds the cut one.
    """

    problem: Problem
    token_ids: Int32[np.ndarray, " T"]
    bucket: str | None = None
    temperature: float | None = None
    index: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """Sampled ids and what the sampler knew about them; of several turns also what the environment wrote between them.

    Attributes:
        token_ids: Sampled ids, the stop token included when one was sampled.
        sampler_logprobs: Natural log-probability of each id under the full softmax at the sampling temperature; 0 for
            ids that the environment wrote.
        finish_reason: Why sampling ended, of several turns that of the last.
        truncated_logprobs: The same under the distribution renormalised after top-p, top-k and min-p; equal to
            `sampler_logprobs` where no cut is on.
        versions: Policy version of the weights that sampled each id, -1 where the id was given and not sampled; None
            where all were sampled by `Rollout.policy_version`.
        turns: Turn that sampled each id, from 0; -1 for ids that are not the policy's to learn from, such as those that
            the environment wrote. None is one turn that sampled all.
    """

    token_ids: Int32[np.ndarray, " C"]
    sampler_logprobs: Float32[np.ndarray, " C"]
    finish_reason: FinishReason
    truncated_logprobs: Float32[np.ndarray, " C"]
    versions: Int32[np.ndarray, " C"] | None = None
    turns: Int32[np.ndarray, " C"] | None = None

    @property
    def turn_of_token(self) -> Int32[np.ndarray, " C"]:
        """`turns`, given for a single turn too."""
        return np.zeros(len(self.token_ids), np.int32) if self.turns is None else self.turns

    @property
    def sampled(self) -> Bool[np.ndarray, " C"]:
        """Whether the policy sampled each id."""
        return self.turn_of_token >= 0

    @property
    def num_sampled(self) -> int:
        """Ids that the policy sampled."""
        return int(self.sampled.sum())


@dataclass(frozen=True, slots=True)
class PartScore:
    """What one reward function says of one completion.

    Attributes:
        value: The unweighted score of this part.
        status: The verdict, for parts that judge the answer; None for behavioural parts such as format.
        answer: What the part read as the completion's answer, in a form that is equal for equal answers (majority votes
            count it); None where nothing was read, or the answer has no short form, as code has none.
    """

    value: float
    status: RewardStatus | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Reward:
    """The typed outcome of scoring one completion.

    Attributes:
        status: The verdict of the answer-judging part.
        total: Weighted and scaled sum of the parts; None exactly when `status` is invalid.
        parts: Unweighted value of every part, by name.
        seconds: Wall time spent in the checker.
        reason: A short explanation for statuses other than pass and fail; may be empty.
        answer: What the first part that read an answer took for it, as in `PartScore`.
    """

    status: RewardStatus
    total: float | None
    parts: Mapping[str, float]
    seconds: float = 0.0
    reason: str = ""
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion of one problem, scored.

    Attributes:
        completion: The sampled ids.
        text: The decoded completion up to a stop string, special tokens left out, which the rewards saw; of several
            turns the whole exchange.
        reward: Its typed outcome; the total holds what single turns earned.
        policy_version: Number of optimizer updates behind the weights that sampled it.
        turn_rewards: What each turn of a rollout function's trajectory earned by itself; empty without one.
        end: How its rollout function ended; of one that failed the completion is empty and the reward invalid.
    """

    completion: Completion
    text: str
    reward: Reward
    policy_version: int
    turn_rewards: tuple[float, ...] = ()
    end: RolloutEnd = RolloutEnd.DONE


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """All completions of one prompt, in sample order."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]


class Tokenizer(Protocol):
    """What the package needs of a tokenizer; `models/tokenizer.py` wraps the one of `transformers`."""

    @property
    def vocab_size(self) -> int:
        """Number of ids that the tokenizer can produce, added tokens included."""
        ...

    @property
    def pad_id(self) -> int:
        """Id written into padding; never attended to and never trained on."""
        ...

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end a completion: of the tokenizer, config and generation config together, ascending."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, no special tokens added."""
        ...

    def encode_chat(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[int]:
        """Ids of the conversation by the chat template, ending where the assistant's turn begins."""
        ...

    def encode_reply(self, messages: Sequence[Message]) -> list[int]:
        """Ids that the chat template puts after an assistant's text: its end, the messages, a new turn's start."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids, special tokens left out."""
        ...


class RewardFunction(Protocol):
    """A pure function that scores one part; raising means the checker failed (`invalid`), not the completion."""

    def __call__(self, problem: Problem, completion: str) -> PartScore | float:
        """Score `completion`, the decoded text of the assistant's turn."""
        ...
