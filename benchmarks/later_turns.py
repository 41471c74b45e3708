# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What does it save that lanes keep the keys and values of a conversation's earlier turns?

    python -m benchmarks.later_turns

4 random layers that are otherwise SmolLM2-135M, in float32 on the CPU; 8 samples of each of 4 prompts, whose turns of
at most 24 tokens are each answered with 24 given ones. In turns, `--repeats` times after one run to compile:

- kept: as it is; a turn that goes on computes the inputs that are new.
- parted: every turn replaces the first token, so that nothing behind it may be shared and all inputs are computed
  again. Prompts are kept in both.

A ratio compares two runs that followed each other; shown are the median and the inputs that each side computed.
"""

import argparse
import dataclasses
import statistics
import sys
import time

import numpy as np

from benchmarks.sampling_engine import FOUR_LAYERS, SEED, make_engine, make_workload
from grpo_jax.bench.random_model import random_model
from grpo_jax.sampling.engine import SamplingEngine
from grpo_jax.sampling.request import Partial, Room, Sample, SampleRequest
from grpo_jax.sampling.serving import ServingWeights
from tests.fakes.live_sampler import run_out

PROMPTS, GROUP, PROMPT_TOKENS, TURN_TOKENS = 4, 8, 128, 24


def main() -> int:
    """Measure both sides and print."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=8, help="of a conversation (default 8)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each side (default 3)")
    arguments = parser.parse_args()
    longest = 2 * TURN_TOKENS * arguments.turns
    sizes = argparse.Namespace(
        prompts=PROMPTS, prompt_tokens=PROMPT_TOKENS, limit=TURN_TOKENS, chunk_tokens=8, slots=None, lanes=None
    )
    engine = make_engine(FOUR_LAYERS, sizes)
    weights = engine.serve(random_model(FOUR_LAYERS).read_weights(None))
    requests = make_workload(sizes, FOUR_LAYERS.vocab_size).requests
    room = Room(GROUP, PROMPT_TOKENS, longest)
    seconds: dict[str, list[float]] = {"kept": [], "parted": []}
    computed: dict[str, int] = {}
    for repeat in range(arguments.repeats + 1):
        for name, own in seconds.items():
            before, start = engine.counts.prefix_tokens, time.perf_counter()
            talk(engine, weights, requests, room, arguments.turns, parted=name == "parted")
            if repeat:
                own.append(time.perf_counter() - start)
            computed[name] = engine.counts.prefix_tokens - before
    ratios = [parted / kept for kept, parted in zip(*seconds.values(), strict=True)]
    print("; ".join(f"{name}: {statistics.median(seconds[name]):.2f} s, {computed[name]} inputs" for name in seconds))
    print(f"times faster: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0


def talk(
    engine: SamplingEngine,
    weights: ServingWeights,
    requests: tuple[SampleRequest, ...],
    room: Room,
    num_turns: int,
    *,
    parted: bool,
) -> None:
    """All conversations from their first to their last turn, all of a turn together."""
    with engine.open(weights, room=room, num_prompts=len(requests), seed=SEED) as live:
        live.expecting_more = True
        owners = {live.submit(request, GROUP): request for request in requests}
        for _ in range(num_turns - 1):
            before, owners, ended = owners, {}, run_out(live)
            for own in ended:
                request, partial = before[own.request], _answered(own, parted)
                longer = dataclasses.replace(request, max_tokens=len(partial.token_ids) + TURN_TOKENS)
                owners[live.submit(longer, partials=[partial])] = request
        run_out(live)


def _answered(own: Sample, parted: bool) -> Partial:
    """The sample with an answer behind it."""
    ids = own.completion.token_ids
    answer = np.resize(ids[::-1], TURN_TOKENS)
    if not parted:
        return Partial.of(own).given(answer)
    return Partial.fresh(own.sample).given([(ids[0] + 1) % FOUR_LAYERS.vocab_size, *ids[1:], *answer])


if __name__ == "__main__":
    sys.exit(main())
