# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Groups that are sampled over several steps, and how they outlive the process.

A checkpoint holds the ids, log-probabilities and versions of every sample, ended or not, and of the prompts what the
loader needs to make them again. Rewards are not kept: they follow from the completion, which is scored again. Nor are
rollout functions that are under way, of which nothing can be kept: their rollouts begin again.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grpo_jax.records import Completion, Prompt
from grpo_jax.rollout.ended_rows import ended_of, row_of
from grpo_jax.rollout.packed_arrays import pack_arrays, unpack_arrays
from grpo_jax.rollout.trajectory import Ended
from grpo_jax.sampling.request import Partial, oldest_sampled

COLUMNS = ("token_ids", "sampler_logprobs", "truncated_logprobs", "versions")
"""Of a sample's tokens, as `Partial.arrays` has them."""


@dataclass(eq=False)
class GroupInFlight:
    """One prompt and what is there of its samples.

    Attributes:
        prompt: As drawn.
        number: How many were drawn before it.
        step: That drew it; names the noise.
        phase: Of the rewards that score it.
        attempts: Times that it was dropped as too old and begun again; names the noise as well.
        partials: Samples that have not ended, as they were when they last left the sampler; of a rollout function's
            there is nothing yet.
        completions: Samples that have ended.
        ended: The same of a rollout function's.
        ticket: Under which the sampler works on it; None where it does not.
    """

    prompt: Prompt
    number: int
    step: int
    phase: int | None
    attempts: int = 0
    partials: dict[int, Partial] = field(default_factory=dict)
    completions: dict[int, Completion] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    ticket: int | None = None

    @property
    def domain(self) -> str:
        """Of its problem."""
        return self.prompt.problem.domain

    @property
    def places(self) -> list[tuple[int, int]]:
        """Of the samples that have ended, for `Scores`."""
        return [(self.number, sample) for sample in sorted([*self.completions, *self.ended])]

    @property
    def num_partial_tokens(self) -> int:
        """Of the samples that have not ended."""
        return sum(len(own.token_ids) for own in self.partials.values())

    @property
    def oldest_version(self) -> int | None:
        """Of the weights that sampled any of its tokens; None where there is none yet."""
        completions = [*self.completions.values()]
        outcomes = [own.outcome for own in self.ended.values() if own.outcome is not None]
        completions += [turn.completion for outcome in outcomes for turn in outcome.turn.path()]
        return oldest_sampled(own.versions for own in (*self.partials.values(), *completions))

    def fits(self, num_samples: int, most_tokens: int) -> bool:
        """Whether its samples, those that have ended too, could be of a run of this group size and token limit."""
        lengths = [len(own.token_ids) for own in self.completions.values()]
        last_turns = [one.outcome.turn for one in self.ended.values() if one.outcome is not None]
        lengths += [len(turn.token_ids) - len(turn.path()[0].context) for turn in last_turns]
        going_on = [len(own.token_ids) for own in self.partials.values()]
        numbers = {*self.completions, *self.ended, *self.partials}
        return (
            numbers == {*range(num_samples)}
            and max(lengths, default=0) <= most_tokens
            and max(going_on, default=0) < most_tokens
        )

    def begin_again(self, num_samples: int) -> None:
        """Forget what is there."""
        self.attempts += 1
        self.partials = {number: Partial.fresh(number) for number in range(num_samples)}
        self.completions, self.ended, self.ticket = {}, {}, None


def described(groups: Sequence[GroupInFlight]) -> dict[str, Any]:
    """The groups as JSON values; the arrays are one compressed block."""
    pieces: list[tuple[np.ndarray, ...]] = []
    rows = []
    for group in groups:
        samples = []
        for number, partial in group.partials.items():
            samples.append({"number": number, "tokens": len(partial.token_ids), "finish_reason": None})
            pieces.append(partial.arrays)
        for number, own in group.completions.items():
            samples.append({"number": number, "tokens": len(own.token_ids), "finish_reason": own.finish_reason})
            assert own.versions is not None, "the sampler tells of every token who sampled it"
            pieces.append((own.token_ids, own.sampler_logprobs, own.truncated_logprobs, own.versions))
        for number, one in group.ended.items():
            row, columns = row_of(one)
            samples.append({"number": number, "tokens": len(columns[0]), "ended": row})
            pieces.append(columns)
        prompt = group.prompt
        assert prompt.index is not None, "a prompt of the loader's"
        rows.append(
            {
                "domain": group.domain,
                "index": int(prompt.index),
                "bucket": prompt.bucket,
                "temperature": prompt.temperature,
                "number": group.number,
                "step": group.step,
                "phase": group.phase,
                "attempts": group.attempts,
                "prompt_crc": _crc(prompt),
                "samples": samples,
            }
        )
    if not rows:
        return {"groups": []}
    columns = zip(COLUMNS, zip(*pieces, strict=True), strict=True)
    return {"groups": rows, "arrays": pack_arrays({name: np.concatenate(column) for name, column in columns})}


def rebuilt(state: Mapping[str, Any], prompt_of: Callable[[Mapping[str, Any]], Prompt]) -> list[GroupInFlight]:
    """What `described` told; a group whose prompt has changed since, being cut elsewhere, begins again.

    Args:
        state: From there.
        prompt_of: Makes the prompt of a row: "domain", "index", "bucket" and "temperature".
    """
    if not state["groups"]:
        return []
    arrays = unpack_arrays(state["arrays"])
    columns = [arrays[name] for name in COLUMNS]
    groups, position = [], 0
    for row in state["groups"]:
        group = GroupInFlight(prompt_of(row), row["number"], row["step"], row["phase"], row["attempts"])
        for sample in row["samples"]:
            number, past = sample["number"], position + sample["tokens"]
            ids, logprobs, truncated, versions = (column[position:past] for column in columns)
            if "ended" in sample:
                place = group.number, number
                group.ended[number] = ended_of(sample["ended"], place, (ids, logprobs, truncated, versions))
            elif sample["finish_reason"] is None:
                group.partials[number] = Partial(number, ids, logprobs, truncated, versions)
            else:
                group.completions[number] = Completion(ids, logprobs, sample["finish_reason"], truncated, versions)
            position = past
        if row["prompt_crc"] != _crc(group.prompt):
            group.begin_again(len(row["samples"]))
        groups.append(group)
    return groups


def _crc(prompt: Prompt) -> int:
    return zlib.crc32(np.asarray(prompt.token_ids, np.int32).tobytes())
