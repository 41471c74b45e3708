# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The choice of a backend fails closed."""

import subprocess
import sys

import pytest

from grpo_jax.records import ConfigError
from grpo_jax.rewards.sandbox import selection, session
from grpo_jax.rewards.sandbox.inside import landlock
from grpo_jax.rewards.sandbox.inside.limits import Limits
from grpo_jax.rewards.sandbox.self_test import run_self_test
from grpo_jax.rewards.sandbox.supervisor import Execution, SandboxError


@pytest.fixture
def no_cache():
    selection.examine.cache_clear()
    yield
    selection.examine.cache_clear()


def test_every_probe_holds_on_every_backend(backend):
    assert [verdict for verdict in run_self_test(backend) if not verdict.held] == []


def test_the_self_test_fails_where_nothing_is_confined(tmp_path, monkeypatch):
    from grpo_jax.rewards.sandbox import self_test

    harmless = [item for item in self_test._ATTEMPTS if item[1] in ("read the list of users", "open a socket", "fork")]
    assert len(harmless) == 3
    monkeypatch.setattr(self_test, "_ATTEMPTS", harmless)
    held = {verdict.attempt: verdict.held for verdict in run_self_test("none")}
    assert [held[name] for _, name, _ in harmless] == [False, False, False]
    assert not self_test.holds(run_self_test("none"))


def test_without_bubblewrap_landlock_is_taken(no_cache, monkeypatch):
    if landlock.abi_version() == 0:
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setattr(
        selection.run_self_test.__globals__["Sandbox"].__init__.__globals__["bubblewrap"], "path", lambda: None
    )
    assert selection.select_backend("auto", acknowledged=False) == "landlock"


def test_with_no_backend_the_refusal_says_what_to_install(no_cache, monkeypatch):
    def nothing_works(backend):
        raise SandboxError(f"no {backend} here")

    monkeypatch.setattr(selection, "run_self_test", nothing_works)
    for name in ("auto", "bubblewrap", "landlock"):
        with pytest.raises(ConfigError, match="install bubblewrap") as refusal:
            selection.select_backend(name, acknowledged=True)
        assert "\n" not in str(refusal.value)


def test_a_failed_probe_rules_a_backend_out(no_cache, monkeypatch):
    failed = selection.Verdict("network", "open a socket", held=False)
    monkeypatch.setattr(selection, "run_self_test", lambda backend: [failed])
    with pytest.raises(ConfigError, match="network: open a socket"):
        selection.select_backend("auto", acknowledged=False)


def test_none_needs_a_second_acknowledgement():
    with pytest.raises(ConfigError, match=r"rewards\.run_unconfined_code"):
        selection.select_backend("none", acknowledged=False)
    assert selection.select_backend("none", acknowledged=True) == "none"


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match="auto, bubblewrap, landlock, none"):
        selection.select_backend("docker", acknowledged=False)


def test_running_without_a_session_is_an_error_and_not_a_verdict():
    session.stop()
    with pytest.raises(SandboxError, match="no sandbox was started"):
        session.run([Execution("program", {"prompt": "", "solution": ""})], Limits())


def test_where_namespaces_are_forbidden_landlock_is_taken():
    """In a process whose seccomp filter refuses unshare, mount and clone with namespaces, as container runtimes do."""
    if landlock.abi_version() == 0:
        pytest.skip("this kernel has no Landlock")
    script = """
import sys
from grpo_jax.rewards.sandbox.inside import seccomp_assembler as assembler, syscalls
refused = {"x86_64": (272, 165, 308), "aarch64": (97, 40, 268)}[__import__("platform").machine()]
known = syscalls.numbers()
rules = [syscalls.Rule(number) for number in range(440) if number not in (*refused, known["clone"], known["clone3"])]
rules += [syscalls.Rule(number) for number in range(440, 470)]
rules += [syscalls.Rule(known["clone"], (syscalls.Condition(0, 0x7E020000, (0,)),))]
rules += [syscalls.Rule(known["clone3"], never=True, refusal=38)]
assembler.install(assembler.assemble(rules))
from grpo_jax.rewards.sandbox.selection import select_backend
print(select_backend("auto", acknowledged=False))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "landlock", done.stderr[-2000:]
