# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Config files, overrides and presets."""

import json
from pathlib import Path

import pytest

from grpo_jax.curriculum_config import BucketSpan
from grpo_jax.overrides import config_as_dict, config_hash, load_config
from grpo_jax.records import ConfigError

CONFIG = """
from grpo_jax.config import Domain, RunConfig


def config():
    return RunConfig(exp_name="tiny", domains={"math": Domain(), "logic": Domain(rewards={"a.b": 1.0})})
"""

PRESET = """
from grpo_jax.config import ModelConfig


def config():
    return ModelConfig(path="hub/small", dtype="float32")
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.py"
    path.write_text(CONFIG)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.py").write_text(PRESET)
    return path


@pytest.mark.parametrize(
    ("word", "section", "field", "expected"),
    [
        ("seed=7", "", "seed", 7),
        ("exp_name=7", "", "exp_name", "7"),
        ("training.learning_rate=1e-5", "training", "learning_rate", 1e-5),
        ("training.learning_rate=1", "training", "learning_rate", 1.0),
        ("training.microbatch_tokens=4_096", "training", "microbatch_tokens", 4096),
        ("training.max_steps=none", "training", "max_steps", None),
        ("training.max_steps=3", "training", "max_steps", 3),
        ("logging.tensorboard=False", "logging", "tensorboard", False),
        ("logging.tensorboard=1", "logging", "tensorboard", True),
        ("model.dtype=float32", "model", "dtype", "float32"),
        ("model.remat=none", "model", "remat", "none"),
        ("objective.aggregation=none", "objective", "aggregation", None),
        ("objective.aggregation=token_mean", "objective", "aggregation", "token_mean"),
        ("data.train_sources=a::b@c,d::e", "data", "train_sources", ("a::b@c", "d::e")),
        ('data.train_sources=["a","b"]', "data", "train_sources", ("a", "b")),
        ("data.train_sources=('a', 'b')", "data", "train_sources", ("a", "b")),
        ("data.train_sources=", "data", "train_sources", ()),
        ("sampling.stop_token_ids=1, 2", "sampling", "stop_token_ids", (1, 2)),
        ("model.path=a=b", "model", "path", "a=b"),
    ],
)
def test_override_is_read_by_the_type_of_its_field(config_file, word, section, field, expected):
    config = load_config(config_file, [word])
    value = getattr(getattr(config, section) if section else config, field)
    assert value == expected
    assert type(value) is type(expected)


def test_domain_fields_and_reward_weights_are_overridden(config_file):
    config = load_config(
        config_file,
        ["domains.math.temperature=0.7", "domains.math.rewards.format=0.5", "domains.logic.rewards.a.b=2"],
    )
    assert config.domains["math"].temperature == 0.7
    assert config.domains["math"].rewards == {"math": 1.0, "format": 0.5}
    assert config.domains["logic"].rewards == {"a.b": 2.0}


def test_mapping_is_replaced_whole_by_a_json_object(config_file):
    config = load_config(config_file, ['domains.math.rewards={"x": 1}'])
    assert config.domains["math"].rewards == {"x": 1.0}


def test_new_domain_is_added_by_a_json_object(config_file):
    config = load_config(config_file, ['domains.code={"weight": 2, "rewards": {"code": 1}}'])
    assert config.domains["code"].weight == 2.0
    assert config.domains["code"].reward_scale == 1.0
    assert set(config.domains) == {"math", "logic", "code"}


def test_lists_of_sections_and_of_texts_are_json(config_file):
    rule = "domains.math.difficulty.rule=prompt_length"
    spans = 'domains.math.schedule=[{"until": 0.5, "weights": [1, 0, 0]}, {"until": 1, "weights": [0, 0, 1]}]'
    sources = 'data.train_sources=["math::a, b.parquet", "logic::c.jsonl@train"]'
    config = load_config(config_file, [spans, sources, rule])
    assert config.domains["math"].schedule == (BucketSpan(0.5, (1.0, 0.0, 0.0)), BucketSpan(1.0, (0.0, 0.0, 1.0)))
    assert config.data.train_sources == ("math::a, b.parquet", "logic::c.jsonl@train")
    assert json.loads(json.dumps(config_as_dict(config)))["domains"]["math"]["schedule"][0]["until"] == 0.5


def test_last_override_wins_also_over_a_preset(config_file):
    assert load_config(config_file, ["seed=1", "seed=2"]).seed == 2
    assert load_config(config_file, ["model=small", "model.dtype=bfloat16"]).model.dtype == "bfloat16"
    assert load_config(config_file, ["model.dtype=bfloat16", "model=small"]).model.dtype == "float32"


def test_fields_that_agree_only_together_may_come_in_any_order(config_file):
    words = ["training.minibatches=16", "data.prompts_per_step=16"]
    assert load_config(config_file, words) == load_config(config_file, words[::-1])


def test_preset_beside_the_config_is_found(config_file):
    assert load_config(config_file, ["model=small"]).model.path == "hub/small"


def test_preset_of_the_repository_is_found_from_elsewhere(config_file):
    assert load_config(config_file, ["model=qwen3_1p7b"]).model.path == "Qwen/Qwen3-1.7B"


@pytest.mark.parametrize(
    ("word", "mentioned"),
    [
        ("training.lerning_rate=1", ["training.lerning_rate", "training.learning_rate"]),
        ("trainin.max_steps=1", ["training.max_steps"]),
        ("learning_rate=1", ["training.learning_rate"]),
        ("sead=1", ["seed"]),
        ("domains.mth.weight=1", ["domains.math.weight"]),
        ("zzz=1", ["exp_name", "training"]),
        ("seed.x=1", ["seed", "no fields"]),
        ("training.max_steps=1.5", ["int or none", "1.5"]),
        ("training.learning_rate=fast", ["training.learning_rate", "float", "fast"]),
        ("training.learning_rate=nan", ["float"]),
        ("logging.tensorboard=maybe", ["bool", "maybe"]),
        ("model.dtype=float8", ["float32, bfloat16", "float8"]),
        ("sampling.stop_token_ids=a", ["list of int"]),
        ("sampling.stop_token_ids=[1.5]", ["list of int"]),
        ("domains.math.rewards.math=high", ["float", "high"]),
        ("domains.math.rewards=high", ["domains.math.rewards.NAME=VALUE"]),
        ('domains.math={"wait": 1}', ["domains.math", "wait", "weight"]),
        ("model=huge", ["model=huge", "small", "qwen3_0p6b"]),
        ("model=../tiny", ["no such preset"]),
        ("seed", ["key=value"]),
        ("sampling.group_size=1", ["sampling.group_size=1"]),
    ],
)
def test_mistake_is_one_line_that_names_the_remedy(config_file, word, mentioned):
    with pytest.raises(ConfigError) as caught:
        load_config(config_file, [word])
    message = str(caught.value)
    assert "\n" not in message
    for words in mentioned:
        assert words in message


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("x = 1\n", "config()"),
        ("def config():\n    return 1\n", "wanted RunConfig"),
        ("def config():\n    return 1 / 0\n", "broken.py:2: ZeroDivisionError"),
        ("def config(:\n", "broken.py:1: SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        (
            "from grpo_jax.config import *\ndef config():\n    return RunConfig(seed='1')\n",
            "seed must be int, got '1'",
        ),
        (
            "from grpo_jax.config import *\ndef config():\n    return RunConfig(sampling=SamplingConfig(top_p=2))\n",
            "sampling.top_p=2",
        ),
    ],
)
def test_broken_config_file_is_named_with_its_fault(tmp_path, text, mentioned):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.py") as caught:
        load_config(path)
    assert mentioned in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_config_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path / "absent.py")


def test_config_as_dict_survives_json(config_file):
    plain = config_as_dict(load_config(config_file, ["sampling.stop_token_ids=1,2"]))
    assert json.loads(json.dumps(plain)) == plain
    assert plain["sampling"]["stop_token_ids"] == [1, 2]
    assert plain["domains"]["math"]["rewards"] == {"math": 1.0}


def test_hash_is_equal_exactly_for_equal_configs(config_file):
    first = config_hash(load_config(config_file, ["seed=1"]))
    assert first == config_hash(load_config(config_file, ["seed=2", "seed=1"]))
    assert first != config_hash(load_config(config_file, ["seed=2"]))


def test_settings_of_rewards_are_set_one_by_one_or_whole(config_file):
    words = ["rewards.settings.math.a=2", "rewards.settings.math.b=x", 'domains.math.reward_settings.math={"c": [1]}']
    config = load_config(config_file, words)
    assert config.rewards.settings == {"math": {"a": 2, "b": "x"}}
    assert config.domains["math"].reward_settings["math"]["c"] == (1,)


def test_phases_are_set_as_a_json_list(config_file):
    phases = load_config(
        config_file, ['curriculum.phases=[{}, {"name": "late", "from_progress": 0.5}]']
    ).curriculum.phases
    assert [(phase.name, phase.from_progress) for phase in phases] == [("", None), ("late", 0.5)]
