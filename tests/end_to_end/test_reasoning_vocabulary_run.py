# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run with a reasoning vocabulary, and what becomes of it: checkpoints, resume, export, the model it came from."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from grpo_jax.checkpoint.export import export_run
from grpo_jax.checkpoint.pretrained import load_pretrained, load_published
from grpo_jax.checkpoint.reasoning import with_reasoning_vocabulary
from grpo_jax.cli_plan import describe_plan
from grpo_jax.evaluation.evaluator import evaluate
from grpo_jax.model_config import LoraConfig, ModelConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.records import ConfigError
from grpo_jax.rollout.session import open_session
from grpo_jax.rollout.text import sample_text
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.byte_tokenizer import STOP_ID, VOCAB_SIZE
from tests.fakes.tiny_run import tiny_run

NUM_TWINS = 300
TAGS = (":", "q")
"""The chat template ends in the opening tag, so every completion starts inside."""


def reasoning_run(folder: Path, **model):
    plain = tiny_run(folder)
    given = ModelConfig(
        path=plain.model.path, dtype="float32", reasoning_vocab_size=NUM_TWINS, reasoning_tags=TAGS, **model
    )
    checkpoint = replace(plain.checkpoint, keep=1)
    training = replace(plain.training, learning_rate=0.02)
    return replace(plain, model=given, training=training, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return reasoning_run(tmp_path_factory.mktemp("reasoning"))


@pytest.fixture(scope="module")
def result(config):
    return train(config)


def logits(folder: Path | str, ids: np.ndarray) -> np.ndarray:
    loaded = load_pretrained(str(folder))
    model = nnx.merge(abstract_params(loaded.architecture)[0], loaded.params)
    return np.asarray(model.hidden_states(jnp.asarray(ids)) @ model.head_table.T)


def random_ids(num_ids: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, num_ids, (2, 9))


def table_of(run_folder: Path) -> list[dict[str, str]]:
    with (run_folder / "reasoning_tokens.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def steps_of(run_folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (run_folder / "checkpoints").glob("[0-9]*"))


def test_every_checkpoint_holds_the_map_and_the_one_before_training_stays(result):
    assert steps_of(result.run_folder) == [0, 2]
    maps = [
        *(result.run_folder / "checkpoints").glob("[0-9]*/vocabulary/reasoning_token_map.json"),
        result.final_model / "reasoning_token_map.json",
    ]
    assert len(maps) == 3
    for path in maps:
        found = json.loads(path.read_text())
        assert (found["base_vocab_size"], found["reasoning_vocab_size"]) == (VOCAB_SIZE, NUM_TWINS)
        assert (found["opening_tag"], found["closing_tag"]) == TAGS
        assert found["base_ids"] == [i % VOCAB_SIZE for i in range(NUM_TWINS)]


def test_checkpoint_0_exports_as_the_base_model_with_copied_rows(config, result, tmp_path):
    export_run(str(result.run_folder / "checkpoints" / "0"), str(tmp_path / "start"), "float32")
    table = np.asarray(load_pretrained(str(tmp_path / "start")).params["embedding"])
    base = np.asarray(load_pretrained(config.model.path).params["embedding"])
    np.testing.assert_array_equal(table[:VOCAB_SIZE], base)
    np.testing.assert_array_equal(table[VOCAB_SIZE:], base[np.arange(NUM_TWINS) % VOCAB_SIZE])


def test_training_tells_twins_from_their_base_ids(result):
    table = np.asarray(load_pretrained(str(result.final_model)).params["embedding"])
    assert table.shape[0] == VOCAB_SIZE + NUM_TWINS, "padding rows must not be exported"
    assert not np.allclose(table[VOCAB_SIZE : VOCAB_SIZE + 250], table[:250], atol=1e-4)


def test_metrics_and_the_runs_table_count_the_same_twins(result):
    rows = [row for row in read_metrics(result.run_folder / "metrics.jsonl") if row["step"] > 0]
    for domain in ("plain", "strange"):
        assert all(row[f"vocabulary/{domain}/inside_fraction"] > 0.5 for row in rows)
        assert all(0.3 < row[f"vocabulary/{domain}/twin_fraction"] < 0.8 for row in rows)
    table = table_of(result.run_folder)
    uses = [int(row["twin_count"]) for row in table]
    assert uses == sorted(uses, reverse=True)
    assert sum(uses) > 0
    assert all(int(row["base_id"]) == (int(row["id"]) - VOCAB_SIZE) % VOCAB_SIZE for row in table)
    for row in table:
        base = int(row["base_id"])
        name = {256: "<pad>", 257: "<stop>"}.get(base) or bytes([base]).decode(errors="replace")
        assert json.loads(row["text"]) == name


def test_sampler_and_trainer_agree_all_through_the_run(result):
    rows = [row for row in read_metrics(result.run_folder / "metrics.jsonl") if row["step"] > 0]
    # The first of a step's two updates is made on the weights that sampled.
    assert all(row["mismatch/logprob_abs_max"] < 1e-4 for row in rows)


def test_evaluation_of_the_checkpoint_and_of_the_export_repeat_the_runs_own(config, result):
    last = read_metrics(result.run_folder / "metrics.jsonl")[-1]
    wanted = {name: value for name, value in last.items() if name.startswith("eval/")}

    def kept(figures):
        return {name: figures.figures[name] for name in wanted}

    assert kept(evaluate(config, str(result.run_folder))) == wanted
    exported = replace(config, model=ModelConfig(path=str(result.final_model), dtype="float32"))
    assert kept(evaluate(exported, None)) == wanted, "an export keeps its own twins and tags"


def test_resumed_run_equals_an_unbroken_one(config, result):
    train(replace(config, exp_name="stopped", training=replace(config.training, max_steps=1)))
    resumed = train(replace(config, exp_name="stopped"))
    one, other = (read_metrics(folder / "metrics.jsonl")[-1] for folder in (resumed.run_folder, result.run_folder))
    compared = [name for name in other if name.startswith(("reward/", "objective/", "kl/", "vocabulary/"))]
    assert {name: one[name] for name in compared} == {name: other[name] for name in compared}
    assert table_of(resumed.run_folder) == table_of(result.run_folder)
    changed = replace(config, exp_name="stopped", model=replace(config.model, reasoning_vocab_size=301))
    with pytest.raises(ConfigError, match="cannot change on resume"):
        train(changed)


def test_export_is_not_extended_twice(config, result):
    exported = replace(config.model, path=str(result.final_model))
    model = load_published(exported.path)
    assert with_reasoning_vocabulary(model, exported).architecture == open_session(config).arch
    for wrong, message in (({"reasoning_vocab_size": 5}, "tells of 300"), ({"reasoning_tags": ("a", "b")}, "tells of")):
        with pytest.raises(ConfigError, match=message):
            with_reasoning_vocabulary(model, replace(exported, **wrong))


def test_sampled_text_reads_twins_as_their_base_ids(config, result):
    rows = sample_text(replace(config, model=replace(config.model, path=str(result.final_model))), "hello", 4, 1.0)
    ids = [token_id for row in rows for token_id in row["token_ids"]]
    assert any(token_id >= VOCAB_SIZE for token_id in ids)
    for row in rows:
        plain = bytes(i % VOCAB_SIZE for i in row["token_ids"] if i % VOCAB_SIZE < 256).decode(errors="replace")
        assert row["text"] == plain


def test_plan_counts_the_rows(config):
    rows = VOCAB_SIZE + NUM_TWINS + -(VOCAB_SIZE + NUM_TWINS) % 128
    plain = replace(config, model=replace(config.model, reasoning_vocab_size=0))
    with_rows, without = (load_published(config.model.path).architecture.num_parameters for _ in range(2))
    with_rows += (rows - VOCAB_SIZE) * 32
    assert f"{with_rows / 1e6:,.2f} M trained" in describe_plan(config, 1, 8.0)
    assert f"{without / 1e6:,.2f} M trained" in describe_plan(plain, 1, 8.0)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_transformers_loads_the_export_with_equal_logits_and_generates(result, tmp_path, tied):
    torch = pytest.importorskip("torch", reason="parity tests need PyTorch: pip install '.[parity]'")
    from transformers import AutoModelForCausalLM

    folder = result.final_model if tied else _untied_export(result.final_model, tmp_path)
    ids = random_ids(VOCAB_SIZE + NUM_TWINS)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert model.config.vocab_size == VOCAB_SIZE + NUM_TWINS
    assert STOP_ID + VOCAB_SIZE in model.generation_config.eos_token_id
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.tensor(ids)).logits.numpy(), logits(folder, ids), atol=1e-4)
        out = model.generate(torch.tensor(ids), attention_mask=torch.ones(2, 9), max_new_tokens=3, do_sample=False)
    assert out.shape[0] == 2


def _untied_export(final_model: Path, tmp_path: Path) -> Path:
    """The same model as an export of its own head, other than its embedding."""
    from grpo_jax.checkpoint.hf_export import export_hugging_face
    from grpo_jax.checkpoint.token_map import read_token_map

    loaded = load_pretrained(str(final_model))
    arch = replace(loaded.architecture, tied_embeddings=False, vocab_size=640, padding_rows=640 - 558)
    rows = np.pad(np.asarray(loaded.params["embedding"]), ((0, 640 - 558), (0, 0)))
    params = {**loaded.params, "embedding": jnp.asarray(rows), "head": jnp.asarray(rows[::-1].copy())}
    token_map = read_token_map(final_model)
    folder = tmp_path / "untied"
    export_hugging_face(folder, arch, params, loaded.tokenizer, loaded.hf_config, "float32", token_map)
    return folder


def test_adapters_train_beside_the_twins_rows(tmp_path):
    config = reasoning_run(tmp_path, lora=LoraConfig(rank=2, alpha=8.0))
    result = train(config)
    table = np.asarray(load_pretrained(str(result.final_model)).params["embedding"])
    base = np.asarray(load_pretrained(config.model.path).params["embedding"])
    np.testing.assert_array_equal(table[:VOCAB_SIZE], base)
    assert not np.allclose(table[VOCAB_SIZE : VOCAB_SIZE + 250], base[:250], atol=1e-4)
    rows = [row for row in read_metrics(result.run_folder / "metrics.jsonl") if row["step"] > 0]
    assert all(row["mismatch/logprob_abs_max"] < 1e-4 for row in rows)
    export_run(str(result.run_folder), str(tmp_path / "merged"), "float32")
    ids = random_ids(VOCAB_SIZE + NUM_TWINS)
    np.testing.assert_allclose(logits(tmp_path / "merged", ids), logits(result.final_model, ids), atol=1e-5)
    with pytest.raises(ConfigError, match="peft's layout has no place"):
        export_run(str(result.run_folder), str(tmp_path / "adapter"), "float32", adapter=True)
    assert not (result.run_folder / "final_adapter").exists()
