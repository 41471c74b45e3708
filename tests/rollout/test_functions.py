# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finding rollout functions: names, paths, files, classes, and one line for every mistake."""

import jax
import pytest

from grpo_jax.config import Domain, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.overrides import config_as_dict, load_config
from grpo_jax.records import ConfigError
from grpo_jax.rollout.functions import READY, RolloutFunctions
from grpo_jax.rollout_config import RolloutConfig


def functions_of(function, **settings):
    domains = {"a": Domain(rollout=function, rollout_settings=settings), "b": Domain()}
    # Nothing is run, so nothing needs isolation.
    return RolloutFunctions(RunConfig(domains=domains, rewards=RewardsConfig(sandbox="none", run_unconfined_code=True)))


async def own_function(problem, generate, *, size: int = 3):
    return size


@pytest.mark.parametrize("name", sorted(READY))
def test_ready_functions_are_there(name):
    functions = functions_of(name)
    assert list(functions) == ["a"]
    functions.close()


def test_a_function_from_a_file_with_settings(tmp_path):
    path = tmp_path / "game.py"
    path.write_text("async def play(problem, generate, *, size=1):\n    return size\n")
    play = functions_of(f"{path}:play", size=5)["a"]
    with pytest.raises(StopIteration) as stopped:
        play(None, None).send(None)
    assert stopped.value.value == 5


@pytest.mark.parametrize(
    ("function", "settings", "message"),
    [
        ("gues_number", {}, "no ready function"),
        ("grpo_jax.no_such:function", {}, "importing 'grpo_jax.no_such' failed"),
        ("grpo_jax.records:nothing", {}, "has no function 'nothing'"),
        (lambda problem, generate: None, {}, "is not async"),
        (own_function, {"sise": 3}, "names 'sise'.*it has size"),
        ("guess_number", {"secret": 3}, "names 'secret'"),
    ],
)
def test_mistakes_are_one_line(function, settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        functions_of(function, **settings)
    assert "\n" not in str(error.value)


def test_settings_without_a_function_are_a_mistake():
    with pytest.raises(ConfigError, match=r"domains\.a\.rollout_settings"):
        functions_of(None, size=3)


def test_several_hosts_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="one host"):
        functions_of("guess_number")


def test_carrying_over_is_refused_unless_the_run_follows_the_clock_anyway():
    domains, carrying = {"a": Domain(rollout="guess_number")}, SamplingConfig(carry_over=True)
    with pytest.raises(ConfigError, match=r"domains\.a\.rollout.*rollout\.max_staleness=1"):
        RolloutFunctions(RunConfig(domains=domains, sampling=carrying))
    ahead = RunConfig(domains=domains, sampling=carrying, rollout=RolloutConfig(max_staleness=1))
    assert list(RolloutFunctions(ahead)) == ["a"]


def test_what_lasts_is_made_once_and_closed():
    class Lasting:
        closed = 0

        async def __call__(self, problem, generate):
            return None

        def close(self):
            Lasting.closed += 1

    functions = functions_of(Lasting)
    assert functions["a"] is functions["a"]
    functions.close()
    functions.close()
    assert Lasting.closed == 1


def test_a_function_in_a_config_survives_loading_and_is_written_by_its_name(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "from grpo_jax.config import Domain, RunConfig\n"
        "async def play(problem, generate):\n    return None\n"
        "def config():\n    return RunConfig(domains={'a': Domain(rollout=play, rewards={})})\n"
    )
    config = load_config(path, ["domains.a.rollout_settings={}"])
    assert config_as_dict(config)["domains"]["a"]["rollout"].endswith(":play")
    assert list(RolloutFunctions(config)) == ["a"]
    named = load_config(path, ["domains.a.rollout=guess_number"])
    assert named.domains["a"].rollout == "guess_number"
