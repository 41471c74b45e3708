# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of sampling, compiled for one model on one mesh, and how what passes between them is laid out.

Every output has a stated sharding: left to the compiler, the cache would come back from the first chunk in another
layout than it went in, and the second chunk would compile again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from grpo_jax.models.architecture import Architecture
from grpo_jax.models.lora import LoraSpec
from grpo_jax.models.reasoning_tags import ReasoningTags
from grpo_jax.models.transformer import Params
from grpo_jax.parallel.compile_ahead import Program
from grpo_jax.parallel.cpu_options import decode_options
from grpo_jax.parallel.rules import batch_multiple, batch_sharding, param_shardings, replicated
from grpo_jax.parallel.transfer import place
from grpo_jax.sampling.buckets import SMALLEST_PROMPT, buckets_up_to
from grpo_jax.sampling.decode import decode_chunk
from grpo_jax.sampling.prefill import prefill
from grpo_jax.sampling.prefix import prefill_prefixes, put_prefixes
from grpo_jax.sampling.ragged_attention import XLA_ATTENTION, DecodeAttention, own_attention
from grpo_jax.sampling.serving import serving_names, serving_view
from grpo_jax.sampling.state import Lanes, Slots, compact, empty_state, own_columns, put_groups, resize
from grpo_jax.sampling.token_choice import padded_vocab


class Programs:
    """Compiled programs, each compiled when first used with a shape, and the settings that are fixed with them.

    Attributes:
        mesh: Devices that sample.
        by_slot: Sharding of arrays whose first dim is the slots.
        replicated: Sharding of what every device holds.
        num_shards: Parts that the slots are split into; their number is a multiple of it.
        stop_ids: Ids that end a completion of any prompt.
        pad_id: Fill of prompts.
        chunk_tokens: Decode steps of one device program.
        max_prompt_tokens: Longest prompt that will come: the largest prompt bucket.
        max_positions: The model's context, in tokens.
        prompt_buckets: Padded prompt lengths that occur.
        chunks_ahead: Chunks that are under way while the host reads the one before them.
        num_compiled: Programs compiled so far, by name.
        tags: Automaton of the reasoning tags; None for a model without twins.
        tag_table: The same on the devices.
        serve: Parameters to serving weights, where the parameters are.
        serving_shardings: Of these on the devices that sample. Both meshes hold the same parts, so that each part goes
            from a device to a device; else all would pass the host.
        prefill, chunk, empty_state, put_groups, resize, compact, prefill_prefixes, put_prefixes: The functions of
            `prefill.py`, `decode.py`, `state.py` and `prefix.py`; those that change lanes take them over.
    """

    def __init__(
        self,
        arch: Architecture,
        shapes: Params,
        names: Params,
        mesh: Mesh,
        *,
        dtype: Any,
        stop_ids: Sequence[int],
        pad_id: int,
        chunk_tokens: int,
        max_prompt_tokens: int,
        max_completion_tokens: int | None = None,
        with_cuts: bool = False,
        lora: LoraSpec | None = None,
        attention: DecodeAttention = XLA_ATTENTION,
        chunks_ahead: int | None = None,
        tags: ReasoningTags | None = None,
        training_mesh: Mesh | None = None,
    ):
        """Set the programs up; nothing is compiled.

        Args:
            arch: The model.
            shapes: Shapes of its parameters, as `abstract_params` returns them without adapters and quantisation.
            names: Logical dim names of its parameters, likewise.
            mesh: Prompts are split over its batch axes, heads over `tensor`.
            dtype: Compute dtype of the serving view and of the cache.
            stop_ids: Ids that end a completion.
            pad_id: Fill of prompts.
            chunk_tokens: Decode steps of one device program.
            max_prompt_tokens: Longest prompt that will come.
            max_completion_tokens: Largest token limit that will come, of which sizes of caches follow; None takes that
                of each call, whose sizes may then differ from the last one's.
            with_cuts: Whether requests with top-p, top-k or min-p will come: decode then always provides for them, or
                steps with and without would compile it twice.
            lora: Adapters that come with the parameters of `serve`, to be merged into them.
            attention: How decode reads the lanes' own tokens, as `choose_decode_attention` returns it.
            chunks_ahead: 0 or 1; None is 1, and 0 on a CPU, which has no idle time to hide: there a chunk for lanes
                that are known to have ended a chunk later costs 10 to 20 % more lane-steps.
            tags: Of a model with a reasoning vocabulary.
            training_mesh: Where the parameters of `serve` are; None is `mesh`. Its axis `tensor` has the same size.
        """
        self.mesh = mesh
        self.by_slot, self.num_shards = batch_sharding(mesh), batch_multiple(mesh)
        self.replicated = replicated(mesh)
        self.stop_ids = tuple(sorted(set(stop_ids)))
        self.pad_id, self.chunk_tokens = pad_id, chunk_tokens
        self.max_prompt_tokens, self.max_positions = max_prompt_tokens, arch.max_positions
        self.max_completion_tokens, self.with_cuts = max_completion_tokens, with_cuts
        self.prompt_buckets = buckets_up_to(max_prompt_tokens, SMALLEST_PROMPT)
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        self.chunks_ahead = int(not on_cpu) if chunks_ahead is None else chunks_ahead
        self.num_compiled: Counter[str] = Counter()
        self._arch = arch
        self.tags = tags
        self.tag_table = None if tags is None else place(tags.for_sampling(arch.num_twins), self.replicated)

        # A vocabulary that no device shares needs no padding.
        head_rows = padded_vocab(arch.vocab_size, mesh) if mesh.shape["tensor"] > 1 else arch.vocab_size
        view = partial(serving_view, arch=arch, dtype=dtype, head_rows=head_rows)
        made_on, served_names = training_mesh or mesh, serving_names(names, arch)
        self.serve = self._program(
            "serve",
            partial(view, lora=lora),
            out_shardings=param_shardings(made_on, jax.eval_shape(view, shapes), served_names),
        )
        self.serving_shardings = param_shardings(mesh, jax.eval_shape(view, shapes), served_names)
        prompt_kv, own_kv = _cache_shardings(arch, mesh)
        slots = Slots._make([prompt_kv, *[self.by_slot] * (len(Slots._fields) - 1)])
        lanes = Lanes._make([own_kv, *[self.by_slot] * (len(Lanes._fields) - 1)])
        self.prefill = self._program(
            "prefill", partial(prefill, arch=arch, num_shards=self.num_shards), out_shardings=prompt_kv
        )
        self.chunk = self._program(
            "chunk",
            partial(
                decode_chunk,
                arch=arch,
                num_steps=chunk_tokens,
                attend_own=own_attention(attention, mesh),
                mesh=mesh if mesh.size > 1 else None,
            ),
            static_argnames="with_cuts",
            donate_argnames="lanes",
            out_shardings=(lanes, self.by_slot, self.by_slot),
            compiler_options=decode_options(mesh),
        )
        self.empty_state = self._program(
            "empty_state",
            partial(empty_state, arch=arch, dtype=dtype),
            static_argnums=(0, 1, 2, 3, 4, 5),
            out_shardings=(slots, lanes),
        )
        self.put_groups = self._program(
            "put_groups",
            partial(put_groups, num_shards=self.num_shards),
            donate_argnames=("slots", "lanes"),
            out_shardings=(slots, lanes),
        )
        self.resize = self._program("resize", resize, static_argnames="columns", out_shardings=own_kv)
        self.compact = self._program(
            "compact", partial(compact, num_shards=self.num_shards), out_shardings=(slots, lanes)
        )
        self.prefill_prefixes = self._program(
            "prefill_prefixes",
            partial(prefill_prefixes, arch=arch, num_shards=self.num_shards),
            out_shardings=prompt_kv,
        )
        self.put_prefixes = self._program(
            "put_prefixes",
            partial(put_prefixes, chunk_tokens=chunk_tokens, num_shards=self.num_shards),
            static_argnames="with_kept",
            donate_argnames=("lanes", "limit"),
            out_shardings=(lanes, self.by_slot),
        )

    def with_twins(self, token_ids: Iterable[int]) -> list[int]:
        """These base ids and their twins, ascending: an id ends a completion however it is written."""
        arch = self._arch
        return sorted({i for own in token_ids for i in (own, *range(own, arch.num_ids, arch.num_base_ids))})

    def own_columns(self, num_columns: int) -> tuple[int, ...]:
        """Columns of each layer's own cache where lanes have up to `num_columns`."""
        return tuple(own_columns(self._arch, num_columns, self.chunk_tokens))

    def _program(self, name: str, function: Callable[..., Any], **options: Any) -> Program:
        """The function jitted under a name; each tracing of it is a program compiled."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.num_compiled[name] += 1
            return function(*args, **kwargs)

        counted.__name__ = counted.__qualname__ = name
        return Program(name, jax.jit(counted, **options))


def _cache_shardings(arch: Architecture, mesh: Mesh) -> tuple[Any, Any]:
    """Shardings of one layer's prompt cache [N, K, P, H] and own cache [N, C, K, S, H]."""
    num_slots, num_heads, size = batch_multiple(mesh), arch.num_kv_heads, arch.head_size
    shapes = (
        jax.ShapeDtypeStruct((num_slots, num_heads, 1, size), jnp.float32),
        jax.ShapeDtypeStruct((num_slots, 1, num_heads, 1, size), jnp.float32),
    )
    names = (("batch", "kv_heads", "whole", "head"), ("batch", "whole", "kv_heads", "whole", "head"))
    return param_shardings(mesh, shapes, names)
