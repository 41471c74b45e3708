# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A run that trains adapters alone, and what becomes of them: resume, evaluation, merged export, PEFT export."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from benchmarks.export_logits import export_base, theirs
from grpo_jax.checkpoint.export import export_run
from grpo_jax.checkpoint.pretrained import load_pretrained
from grpo_jax.evaluation.evaluator import evaluate
from grpo_jax.model_config import LoraConfig, ModelConfig
from grpo_jax.models.transformer import abstract_params
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import read_metrics
from grpo_jax.training.loop import train
from tests.fakes.tiny_run import tiny_run

LORA = LoraConfig(rank=2, alpha=8.0)
TOKENS = np.random.default_rng(0).integers(0, 250, (2, 9))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    plain = tiny_run(folder)
    training = replace(plain.training, learning_rate=0.05)
    return replace(plain, model=ModelConfig(path=plain.model.path, dtype="float32", lora=LORA), training=training)


@pytest.fixture(scope="module")
def result(config):
    return train(config)


def logits(folder: Path | str) -> np.ndarray:
    loaded = load_pretrained(str(folder))
    model = nnx.merge(abstract_params(loaded.architecture)[0], loaded.params)
    return np.asarray(model.hidden_states(jnp.asarray(TOKENS)) @ model.head_table.T)


def test_final_model_has_moved_and_the_checkpoint_holds_adapters_alone(config, result):
    assert not np.allclose(logits(result.final_model), logits(config.model.path), atol=1e-3)
    checkpoint = max((result.run_folder / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    assert _tree_names(checkpoint) == _adapter_names()


def _adapter_names() -> set[str]:
    return {f"{name}_lora_{side}" for name in LORA.targets for side in "ab"}


def _tree_names(checkpoint: Path) -> set[str]:
    return set(ocp.PyTreeCheckpointHandler().metadata(checkpoint / "state").tree["params"]["layers"])


def test_export_merges_the_adapters(result, tmp_path):
    export_run(str(result.run_folder), str(tmp_path / "merged"), "float32")
    np.testing.assert_allclose(logits(tmp_path / "merged"), logits(result.final_model), atol=1e-5)


def test_evaluation_of_the_checkpoint_repeats_the_runs_own(config, result):
    last = read_metrics(result.run_folder / "metrics.jsonl")[-1]
    found = evaluate(config, str(result.run_folder)).figures
    assert found == {name: value for name, value in last.items() if name.startswith("eval/")}


def test_resumed_run_equals_an_unbroken_one(config, result):
    stopped = replace(config, exp_name="stopped", training=replace(config.training, max_steps=1))
    train(stopped)
    resumed = train(replace(config, exp_name="stopped"))
    rows = [read_metrics(folder / "metrics.jsonl")[-1] for folder in (resumed.run_folder, result.run_folder)]
    kept = [
        {name: value for name, value in row.items() if name.startswith(("reward/", "objective/", "kl/"))}
        for row in rows
    ]
    assert kept[0] == kept[1]
    np.testing.assert_array_equal(logits(resumed.final_model), logits(result.final_model))


@pytest.fixture(scope="module", params=["int8", "nf4"])
def quantised(request, config):
    """A run of one step on a base in few bits, and the setting."""
    model = replace(config.model, quantization=request.param)
    training = replace(config.training, max_steps=1)
    return request.param, train(replace(config, exp_name=request.param, model=model, training=training))


def test_adapters_on_a_quantised_base_are_exported_with_its_numbers(quantised, tmp_path):
    """The run's own final model is that of a later export, and lies near the base that was quantised."""
    folder = quantised[1].run_folder
    row = read_metrics(folder / "metrics.jsonl")[-1]
    assert row["mismatch/logprob_abs_max"] < 1e-3
    export_run(str(folder), str(tmp_path / "merged"), "float32")
    np.testing.assert_allclose(logits(tmp_path / "merged"), logits(folder / "final_model"), atol=1e-5)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_peft_puts_the_adapter_on_the_numbers_of_a_quantised_base(quantised, config, tmp_path):
    quantization, run = quantised
    export_base(config.model.path, quantization, tmp_path / "base")
    export_run(str(run.run_folder), str(tmp_path / "adapter"), "float32", adapter=True)
    found = logits_of_peft(tmp_path / "base", tmp_path / "adapter")
    np.testing.assert_allclose(found, logits(run.final_model), atol=1e-4)
    # On the base as it was before quantisation the same adapter says something else.
    assert np.abs(logits_of_peft(config.model.path, tmp_path / "adapter") - found).max() > 1e-3


# peft asks transformers for a name that it will drop in its next major version.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_peft_loads_the_adapter_with_equal_logits(config, result, tmp_path):
    export_run(str(result.run_folder), str(tmp_path / "adapter"), "float32", adapter=True)
    found = logits_of_peft(config.model.path, tmp_path / "adapter")
    np.testing.assert_allclose(found, logits(result.final_model), atol=1e-4)


def logits_of_peft(base: Path | str, adapter: Path) -> np.ndarray:
    pytest.importorskip("torch")
    pytest.importorskip("peft")
    return theirs(base, adapter, TOKENS, "float32")


def test_a_run_of_all_weights_has_no_adapter_to_export(tmp_path):
    plain = tiny_run(tmp_path)
    folder = train(replace(plain, training=replace(plain.training, max_steps=1))).run_folder
    with pytest.raises(ConfigError, match="no adapter; leave --adapter out"):
        export_run(str(folder), str(tmp_path / "adapter"), "float32", adapter=True)
