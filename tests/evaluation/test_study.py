# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The study's runs and its comparison, from prepared metrics."""

from dataclasses import replace

import pytest

from grpo_jax.config import DataConfig, Domain, ObjectiveConfig, RunConfig, TrainingConfig
from grpo_jax.evaluation.study import comparison_table, modes_of, outcome_of, study_stages
from grpo_jax.evaluation.study_picture import write_picture
from grpo_jax.records import ConfigError

DOMAINS = ("math", "code", "logic")
CONFIG = RunConfig(
    exp_name="study",
    output_dir="out",
    domains={name: Domain(kl_coefficient=0.1 if name == "math" else None) for name in DOMAINS},
    data=DataConfig(train_sources=("a",), eval_sources=("b",), mixing="balanced"),
    objective=ObjectiveConfig(kl_coefficient=0.01),
    training=TrainingConfig(max_steps=10),
)


def test_every_mode_gets_the_same_number_of_steps_and_prompts():
    for mode in modes_of(CONFIG, "all"):
        stages = study_stages(CONFIG, mode)
        assert sum(stage.config.training.max_steps or 0 for stage in stages) == 10
        assert {stage.config.data.prompts_per_step for stage in stages} == {CONFIG.data.prompts_per_step}
        assert {stage.config.seed for stage in stages} == {CONFIG.seed}


def test_sequential_stages_train_one_domain_each_and_are_evaluated_on_all():
    stages = study_stages(CONFIG, "sequential")
    assert [stage.config.data.train_domains for stage in stages] == [(name,) for name in DOMAINS]
    assert [stage.continues for stage in stages] == [False, True, True]
    assert [stage.config.training.max_steps for stage in stages] == [4, 3, 3]
    assert all([*stage.config.domains] == [*DOMAINS] and stage.config.evaluation.every_steps for stage in stages)
    assert [stage.config.evaluation.before_training for stage in stages] == [True, False, False]
    assert len({(stage.config.output_dir, stage.config.exp_name) for stage in stages}) == 3


def test_without_kl_nothing_holds_the_policy():
    (stage,) = study_stages(CONFIG, "mixed_without_kl")
    assert stage.config.objective.kl_coefficient == 0
    assert all(domain.kl_coefficient is None for domain in stage.config.domains.values())


def test_a_config_without_kl_has_no_run_without_it():
    free = replace(CONFIG, objective=ObjectiveConfig(), domains={name: Domain() for name in DOMAINS})
    assert modes_of(free, "all") == ["sequential", "mixed"]
    with pytest.raises(ConfigError, match="kl_coefficient is 0 already"):
        study_stages(free, "mixed_without_kl")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"domains": {"math": Domain()}}, "at least two"),
        ({"data": DataConfig(train_sources=("a",))}, "eval_sources"),
        ({"data": DataConfig(eval_sources=("b",), train_domains=("math",))}, "train_domains"),
        ({"training": TrainingConfig(max_steps=None)}, "max_steps"),
        ({"training": TrainingConfig(max_steps=2)}, "cannot be shared by 3"),
    ],
)
def test_configs_that_cannot_be_studied_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        study_stages(replace(CONFIG, **changed), "sequential")


def test_an_unknown_mode_is_named():
    with pytest.raises(ConfigError, match="backwards"):
        modes_of(CONFIG, "backwards")


def rows(*evaluations):
    """Metrics of a run with these evaluations, two steps apart."""
    return [
        {"step": 2 * number, "time/step_seconds": 30.0}
        | {f"eval/{name}/pass@1": score for name, score in zip(DOMAINS, scores, strict=True)}
        for number, scores in enumerate(evaluations)
    ]


STAGES = [
    rows((0.1, 0.2, 0.3), (0.6, 0.25, 0.3)),
    rows((0.6, 0.25, 0.3), (0.5, 0.7, 0.2))[1:],
    rows((0.5, 0.7, 0.2), (0.4, 0.75, 0.8))[1:],
]


def test_the_comparison_shows_scores_changes_and_forgetting(tmp_path):
    outcomes = {
        "sequential": outcome_of(DOMAINS, STAGES),
        "mixed": outcome_of(DOMAINS, [rows((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))]),
    }
    table = comparison_table(DOMAINS, outcomes).splitlines()
    assert table[2] == "| start | 0.100 | 0.200 | 0.300 | 0.200 | – | – | – | – | – |"
    assert table[3] == (
        "| sequential | 0.400 (+0.300) | 0.750 (+0.550) | 0.800 (+0.500) | 0.650 | +0.075 | -0.075 | -0.025 | 6 | 2.0 |"
    )
    assert table[4].startswith("| mixed | 0.500 (+0.400) |")
    picture = write_picture(tmp_path / "study.png", "study", DOMAINS, outcomes)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_its_evaluation_is_named():
    with pytest.raises(ConfigError, match="step 2 has no evaluation of math, code, logic"):
        outcome_of(DOMAINS, [[*rows((0.1, 0.2, 0.3)), {"step": 2}]])
