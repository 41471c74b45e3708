# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""tunix's side of a comparison of samplers: `PYTHON_WITH_TUNIX benchmarks/tunix_side.py FOLDER OUT.json`.

Its vanilla `Sampler` on its own llama model, with the float32 weights that our side exported: all completions of a run
in one batch of left-padded rows, a static cache of prompt bucket + limit columns, one compiled loop until the slowest
row ends, temperature 1 by its `top_p` mode with top_p 1 (which then neither sorts nor cuts). The prompt's columns are
the longest prompt, not the next power of two that it would take by itself, in its favour. Its llama rotates by a
default base whatever the config says; the model's own base is put in that default's place, without which it would
compute another model. Imports nothing of this project, whose dependencies the other interpreter need not have.
"""

import functools
import json
import os
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from tunix.generate.sampler import CacheConfig, Sampler
from tunix.models.llama3 import model as llama
from tunix.models.llama3 import params as llama_params

GREEDY_TOKENS = 16


class Numbers:
    """A tokenizer whose text is the ids themselves; the padding is an id that no prompt holds."""

    def __init__(self, stop_id: int, pad_id: int):
        self._stop, self._pad = stop_id, pad_id

    def encode(self, text: str, **_options: object) -> list[int]:
        """Ids of the numbers."""
        return [int(word) for word in text.split()]

    def decode(self, ids: list[int], **_options: object) -> str:
        """The numbers."""
        return " ".join(map(str, ids))

    def bos_id(self) -> int:
        """None is put before a prompt: 0 counts as absent."""
        return 0

    def eos_id(self) -> int:
        """The model's."""
        return self._stop

    def pad_id(self) -> int:
        """Written left of prompts."""
        return self._pad


def main(folder: Path, output: Path) -> None:
    """Check, warm up, measure, write."""

    def read(name: str) -> object:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    workload, ids, stops = read("workload.json"), read("prompt_ids.json"), read("stop_ids.json")
    fields = read("model/config.json")
    config = llama.ModelConfig(
        num_layers=fields["num_hidden_layers"],
        vocab_size=fields["vocab_size"],
        embed_dim=fields["hidden_size"],
        hidden_dim=fields["intermediate_size"],
        num_heads=fields["num_attention_heads"],
        head_dim=fields.get("head_dim") or fields["hidden_size"] // fields["num_attention_heads"],
        num_kv_heads=fields["num_key_value_heads"],
        rope_theta=(fields.get("rope_parameters") or fields)["rope_theta"],
        norm_eps=fields["rms_norm_eps"],
        weight_tying=fields["tie_word_embeddings"],
    )
    llama.apply_rope = functools.partial(llama.apply_rope, rope_theta=config.rope_theta)
    mesh = jax.sharding.Mesh([[jax.devices()[0]]], ("fsdp", "tp"))
    model = llama_params.create_model_from_safe_tensors(str(folder / "model"), config, mesh, dtype=jnp.float32)
    held = {token for row in ids for token in row} | set(stops)
    pad = next(token for token in range(1, fields["vocab_size"]) if token not in held)
    longest, limit = max(map(len, ids)), workload["completion_tokens"]
    sampler = Sampler(
        model,
        Numbers(stops[0], pad),
        CacheConfig(longest + limit, config.num_layers, config.num_kv_heads, config.head_dim),
    )

    def sample(rows: list[list[int]], tokens: int, **settings: object) -> list[list[int]]:
        prompts = [" ".join(map(str, row)) for row in rows]
        with mesh:
            found = sampler(
                prompts, max_generation_steps=tokens, max_prompt_length=longest, eos_tokens=stops, **settings
            )
        return [until_stop([int(token) for token in row], stops) for row in found.tokens]

    greedy = sample(ids, GREEDY_TOKENS)
    rows = [row for row in ids for _ in range(workload["group_size"])]
    runs = []
    for step in range(1 + workload["steps"]):
        start = time.perf_counter()
        lengths = [len(row) for row in sample(rows, limit, temperature=1.0, top_p=1.0, seed=step)]
        runs.append({"seconds": time.perf_counter() - start, "tokens": sum(lengths), "longest": max(lengths)})
    settings = {
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": os.cpu_count(),
        "jax": jax.__version__,
        "dtype": "float32",
        "rows_at_once": len(rows),
        "cache": f"static, {longest} + {limit} columns, the prompt in each row",
    }
    output.write_text(json.dumps({"greedy": greedy, "runs": runs[1:], "settings": settings}), encoding="utf-8")


def until_stop(row: list[int], stops: list[int]) -> list[int]:
    """The ids up to the first stop, itself included."""
    ends = [place for place, token in enumerate(row, start=1) if token in stops]
    return row[: ends[0]] if ends else row


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
