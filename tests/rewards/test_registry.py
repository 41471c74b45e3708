# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from grpo_jax.config import RewardsConfig
from grpo_jax.records import ConfigError, PartScore, Problem
from grpo_jax.rewards import registry, worker_process

HERE = Path(__file__).parent
PROBLEM = Problem("p", "d", (), "right")


def test_every_registered_name_resolves_and_carries_its_hooks():
    for name in registry.REGISTERED:
        resolved = registry.resolve(name)
        assert callable(resolved.function)
        assert resolved.name == name
    assert registry.resolve("math").warm_up.__module__ == "grpo_jax.rewards.math_answer"


@pytest.mark.parametrize("separator", [":", "."])
def test_dotted_paths_resolve_with_either_separator(separator: str):
    resolved = registry.resolve(f"grpo_jax.rewards.behaviour.answer_format{separator}boxed_format")
    assert resolved.function(PROBLEM, r"\boxed{1}") == PartScore(1.0)


def test_a_file_of_the_users_resolves_from_a_relative_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(HERE)
    assert registry.resolve("hostile_rewards.py:plain_number").function(PROBLEM, "x") == 0.25


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("maths", "did you mean math"),
        ("zzz", "known: accuracy, answer"),
        ("no_such_module_here:function", "no_such_module_here"),
        ("grpo_jax.rewards.behaviour.answer_format:answer_fromat", "did you mean answer_format"),
        ("no/such/file.py:function", "no file"),
        (str(HERE / "hostile_rewards.py"), "add :function"),
        (f"{HERE / 'hostile_rewards.py'}:obediant", "did you mean obedient"),
    ],
)
def test_mistakes_name_the_nearest_valid_thing_in_one_line(name: str, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        registry.resolve(name)
    assert "\n" not in str(caught.value)


def test_settings_reach_the_function_and_leave_it_as_it_was():
    name = f"{HERE / 'hostile_rewards.py'}:settled"
    assert registry.bind(name, {"right": 6, "marks": 2})(PROBLEM, "!") == 3.0
    assert registry.bind(name, {})(PROBLEM, "!!!") == 1.0
    assert registry.bind(f"{HERE / 'hostile_rewards.py'}:any_setting", {"a": 1, "b": 2.5})(PROBLEM, "") == 3.5


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("settled", {"rigth": 1.0}, r"rewards\.settings: reward .* has no setting 'rigth'; did you mean right\?"),
        ("settled", {"zzz": 1.0}, "known: marks, mode, right"),
        ("settled", {"marks": 2.5}, "setting marks of reward .* must be int, got 2.5"),
        ("settled", {"right": True}, r"must be float \(finite\), got True"),
        ("plain_number", {"value": 1.0}, "it has no settings"),
        ("plain_number", {"problem": 1.0}, "it has no settings"),
    ],
)
def test_a_wrong_setting_is_named_with_the_valid_ones(name: str, settings: dict, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        registry.bind(f"{HERE / 'hostile_rewards.py'}:{name}", settings, "rewards.settings")
    assert "\n" not in str(caught.value)


def test_every_registered_reward_takes_problem_and_completion_and_keyword_settings_alone():
    for name in registry.REGISTERED:
        first, second, *rest = inspect.signature(registry.resolve(name).function).parameters.values()
        assert [first.name, second.name] == ["problem", "completion"], name
        assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest), name


def test_a_file_with_a_mistake_is_a_config_error_that_says_so(tmp_path: Path):
    file = tmp_path / "broken.py"
    file.write_text("import no_such_package_at_all\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no_such_package_at_all"):
        registry.resolve(f"{file}:anything")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'grpo_jax\[quickstart\]'"):
        registry.resolve("reasoning_gym").check_available(RewardsConfig())


def test_the_package_imports_neither_jax_nor_sympy():
    code = (
        "import sys, grpo_jax.rewards.pool, grpo_jax.rewards.router, grpo_jax.rewards.worker\n"
        "from grpo_jax.rewards import registry\n"
        "for name in registry.REGISTERED: registry.resolve(name)\n"
        "heavy = ('jax', 'jaxlib', 'torch', 'sympy', 'math_verify', 'reasoning_gym')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    environment = worker_process._environment()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
