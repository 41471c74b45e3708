# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The programs that the first batch of a run will need, compiled before there are weights or prompts.

The state of the lanes is set up as for a real batch, but with programs that compute nothing: each hands its shapes to
the compiling thread and returns the shapes of its result. So whatever decides about shapes decides about these too.
"""

from typing import Any

import jax
import numpy as np

from grpo_jax.models.transformer import Params
from grpo_jax.parallel.compile_ahead import CompileAhead, Program
from grpo_jax.sampling.counts import Counts
from grpo_jax.sampling.groups import Group
from grpo_jax.sampling.lane_state import LaneState
from grpo_jax.sampling.programs import Programs
from grpo_jax.sampling.request import Room, SampleRequest
from grpo_jax.sampling.slot_table import SlotTable


def compile_first_batch(
    programs: Programs,
    thread: CompileAhead,
    params: Params,
    room: Room,
    *,
    num_prompts: int,
    num_slots: int,
    num_lanes: int,
) -> None:
    """Have compiled what serves the weights, lets the first prompts in and decodes their first chunk.

    Args:
        programs: Of the model.
        thread: Compiles them.
        params: Shapes of the policy's weights, with their shardings.
        room: What the requests will need at most; the first prompts are as long as it says.
        num_prompts: Of the batch.
        num_slots: Prompts decoded at once, a multiple of `programs.num_shards`.
        num_lanes: Samples of a prompt decoded at once.
    """
    shapes: Any = _Shapes(programs, thread)
    weights = jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes.serve(params),
        programs.serving_shardings,
    )
    table = SlotTable(num_slots, num_lanes, programs.num_shards)
    state = LaneState(shapes, room, table, seed=0, counts=Counts())
    request = SampleRequest(np.zeros(room.prompt_tokens, np.int32), "", 1.0, room.completion_tokens)
    group = Group((), request, 0, room.num_samples)
    # Prompts go to the shards in turn, as `Admission.admit` deals them out.
    most = min(table.slots_a_shard, state.most_prompts)
    counts = [min(len(range(shard, num_prompts, programs.num_shards)), most) for shard in range(programs.num_shards)]
    state.put_groups(weights, [[(slot, group) for slot in range(count)] for count in counts])
    state.fit_columns(0)
    state.chunk(weights, np.full(table.shape, -1, np.int32), programs.with_cuts)


class _Shapes:
    """The programs of a model, none of which runs; all else is as `Programs` has it."""

    def __init__(self, programs: Programs, thread: CompileAhead):
        self._programs, self._thread = programs, thread

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._programs, name)
        if not isinstance(found, Program):
            return found
        return lambda *args, **kwargs: found.compile_ahead(self._thread, *args, **kwargs)
