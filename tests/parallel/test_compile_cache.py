# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where compiled programs are kept, what a second start takes from there, and what a damaged folder does."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from grpo_jax.parallel.compile_cache import cpu_kind, keep_compiled_programs
from grpo_jax.parallel.compile_watch import CompileWatch
from grpo_jax.records import ConfigError

ROOT = Path(__file__).resolve().parents[2]

START = """
import jax, logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from grpo_jax.parallel.compile_cache import keep_compiled_programs
from grpo_jax.parallel.compile_watch import CompileWatch
keep_compiled_programs(sys.argv[1])
with CompileWatch() as watch:
    print(jax.jit(lambda x: (x * 3 + 1).sum())(jax.numpy.arange(7.0)))
    watch.first_step_done()
"""


@pytest.fixture(autouse=True)
def _restored():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    kept = {name: jax.config.values[name] for name in names}
    yield
    for name, value in kept.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_the_folder_follows_the_config_then_the_environment_then_the_users_cache(tmp_path):
    user = {"XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert keep_compiled_programs(None, user) == str(tmp_path / "xdg" / "grpo_jax" / "compiled" / cpu_kind())
    assert jax.config.values["jax_compilation_cache_dir"] == str(
        tmp_path / "xdg" / "grpo_jax" / "compiled" / cpu_kind()
    )
    assert keep_compiled_programs(None, {**user, "JAX_COMPILATION_CACHE_DIR": "/elsewhere"}) == "/elsewhere"
    own = keep_compiled_programs(str(tmp_path / "own"), {**user, "JAX_COMPILATION_CACHE_DIR": "/elsewhere"})
    assert own == str(tmp_path / "own" / cpu_kind())
    assert keep_compiled_programs("gs://bucket/cache/", user) == f"gs://bucket/cache/{cpu_kind()}"
    assert keep_compiled_programs("", user) is None
    assert jax.config.values["jax_compilation_cache_dir"] is None


def test_a_folder_that_cannot_be_made_is_an_error_only_where_it_was_asked_for(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"parallel\.compile_cache='.*file/cache'"):
        keep_compiled_programs(str(tmp_path / "file" / "cache"), {})
    assert keep_compiled_programs(None, {"XDG_CACHE_HOME": str(tmp_path / "file")}) is None
    assert "no compile cache" in caplog.text


def test_a_second_start_finds_the_programs_and_a_damaged_cache_breaks_nothing(tmp_path):
    # Where least compile times are set, these programs may be too small to keep.
    others = {name: value for name, value in os.environ.items() if not name.startswith("JAX_PERSISTENT")}

    def start() -> str:
        # Every start is a process of its own, as JAX decides once whether there is a cache.
        done = subprocess.run(
            [sys.executable, "-c", START, str(tmp_path)],
            env={**others, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert "70.0" in done.stdout
        return done.stderr

    assert "compile cache cold: 0 of" in start()
    assert "compile cache warm" in start()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:40] + b"damaged")
    assert "compile cache cold: 0 of" in start()


def test_only_what_compiles_again_after_the_first_step_is_named_with_what_changed(caplog):
    caplog.set_level(logging.INFO)

    @jax.jit
    def learned(x: jax.Array, y: jax.Array) -> jax.Array:
        return x * y.sum() + 1

    def run(rows: int) -> None:
        learned(jnp.ones((rows, 4)), jnp.ones(3)).block_until_ready()

    with CompileWatch() as watch:
        run(2)
        run(4)
        watch.first_step_done()
        first = watch.take()
        assert first["time/compiled_programs"] >= 2
        assert first["time/compile_seconds"] > 0
        assert "compiled again" not in caplog.text
        run(4)
        assert watch.take()["time/compiled_programs"] == 0
        run(8)
        assert watch.take()["time/compiled_programs"] >= 1
        watch.last_step_done()
        run(16)
    lines = [line for line in caplog.messages if "compiled again" in line]
    assert len(lines) == 1
    assert lines[0].startswith("learned compiled again")
    assert lines[0].endswith("float32[4,4] -> float32[8,4]")
    assert [line for line in caplog.messages if "first step done" in line]
    assert not [record for record in caplog.records if record.levelno < logging.INFO]
