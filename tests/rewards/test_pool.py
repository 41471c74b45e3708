# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo_jax.config import Domain, RewardPhase, RewardsConfig
from grpo_jax.records import ConfigError, Problem, Reward, RewardStatus
from grpo_jax.rewards.pool import RewardPool, num_slots

HOSTILE = Path(__file__).with_name("hostile_rewards.py")
NAME = f"{HOSTILE}:obedient"
PROBLEM = Problem("p", "hostile", (), "right", extra={"index": 1})
DOMAINS = {
    "hostile": Domain(rewards={NAME: 2.0}, reward_scale=0.5),
    "format": Domain(rewards={"answer_format": 1.0, f"{HOSTILE}:plain_number": 2.0}),
}
BREAKING = {"x": Domain(rewards={f"{HOSTILE.with_name('failing_warm_up.py')}:break_host": 1.0})}


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_gone(pid: int) -> bool:
    for _ in range(100):
        if gone(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def pool() -> Iterator[RewardPool]:
    with RewardPool(DOMAINS, RewardsConfig(workers=2, timeout_seconds=1.0)) as running:
        yield running


def score(pool: RewardPool, *completions: str) -> list[Reward]:
    return pool.collect([pool.submit(PROBLEM, completion) for completion in completions])


def test_rewards_come_back_in_the_order_of_tickets(pool: RewardPool):
    completions = [f"sleep {0.15 if index % 3 == 0 else 0}" if index % 2 else "right" for index in range(12)]
    tickets = [pool.submit(PROBLEM, completion) for completion in completions]
    rewards = pool.collect(tickets[::-1])[::-1]
    assert [reward.total for reward in rewards] == [float(completion == "right") for completion in completions]


def test_weights_scale_and_parts(pool: RewardPool):
    (reward,) = pool.collect([pool.submit(Problem("m", "format", (), "1/2"), "<answer>0.5</answer>")])
    assert (reward.status, reward.total) == (RewardStatus.PASS, 1.5)
    assert reward.parts == {"answer_format": 1.0, f"{HOSTILE}:plain_number": 0.25}
    (reward,) = score(pool, "right")
    assert (reward.total, reward.parts) == (1.0, {NAME: 1.0})


@pytest.mark.parametrize("command", ["spin", "bignum", "sleep 1000"])
def test_a_hang_is_killed_and_its_neighbours_are_right(pool: RewardPool, command: str):
    rewards = score(pool, "right", command, "right", "wrong", "right")
    statuses = [reward.status.value for reward in rewards]
    assert statuses == ["pass", "timeout", "pass", "fail", "pass"]
    assert rewards[1].total == 0.0
    assert rewards[1].parts == {NAME: 0.0}


@pytest.mark.parametrize("command", ["exit", "sigkill", "killgroup", "forge"])
def test_killing_the_checker_twice_is_a_fail_and_not_a_way_out(pool: RewardPool, command: str):
    rewards = score(pool, "right", command, "right", "wrong")
    assert [reward.status.value for reward in rewards] == ["pass", "fail", "pass", "fail"]
    assert (rewards[1].total, rewards[1].reason) == (0.0, "killed_checker")


def test_cpu_time_decides_and_wall_time_is_the_backstop():
    settings = RewardsConfig(workers=2, cpu_seconds=0.6, timeout_seconds=3.0)
    with RewardPool(DOMAINS, settings) as pool:
        slow, spun, slept = score(pool, "sleep 1.2", "spin", "sleep 60")
        assert slow.status is RewardStatus.FAIL  # twice the CPU limit of wall time, and judged all the same
        assert spun.status is RewardStatus.TIMEOUT
        assert spun.seconds < 3.0
        assert slept.status is RewardStatus.TIMEOUT
        statistics = pool.statistics()
        assert statistics["hostile/retries"] == 1  # the sleeper alone
        assert statistics["hostile/timeouts"] == 2


def test_a_task_that_got_no_core_is_judged_once_more_with_nothing_beside_it(tmp_path: Path):
    # The first time it waits in vain, as on a host that gives it no core; alone it is quick.
    settings = RewardsConfig(workers=2, cpu_seconds=0.5, timeout_seconds=1.0)
    with RewardPool(DOMAINS, settings) as pool:
        problem = Problem("p", "hostile", (), f"wait_once {tmp_path / 'marker'}")
        tickets = [pool.submit(problem, problem.ground_truth), *(pool.submit(PROBLEM, "right") for _ in range(20))]
        assert [reward.status for reward in pool.collect(tickets)] == [RewardStatus.PASS] * 21
        assert pool.statistics()["retries"] == 1


def test_growing_memory_ends_the_worker_and_not_the_host():
    settings = RewardsConfig(workers=1, max_worker_bytes=2**28, cpu_seconds=20.0)
    with RewardPool(DOMAINS, settings) as pool:
        rewards = score(pool, "grow", "right")
        assert [reward.status.value for reward in rewards] == ["fail", "pass"]
        assert rewards[0].reason == "killed_checker"


@pytest.mark.parametrize("limit", [{"recycle_tasks": 3}, {"max_worker_bytes": 2**27}])
def test_workers_are_replaced_after_so_many_tasks_or_bytes(limit: dict):
    with RewardPool(DOMAINS, RewardsConfig(workers=1, **limit)) as pool:
        rewards = score(pool, *["hoard", "pid"] * 12)
        pids = {reward.parts[NAME] for reward in rewards[1::2]}
        assert 1 < len(pids) < 12
        assert pool.statistics()["recycled"] >= len(pids) - 1
        assert pool.statistics()["restarts"] == 0


def test_a_full_queue_makes_the_submitter_wait_and_loses_nothing():
    with RewardPool(DOMAINS, RewardsConfig(workers=1, queue_size=2)) as pool:
        tickets = []
        for completion in ["sleep 0.05", "right"] * 6:
            tickets.append(pool.submit(PROBLEM, completion))
            assert pool.statistics()["tasks_waiting"] <= 2
        assert [reward.total for reward in pool.collect(tickets)] == [0.0, 1.0] * 6


def test_cancelled_tasks_are_not_run(tmp_path: Path):
    with RewardPool(DOMAINS, RewardsConfig(workers=1)) as pool:
        running = pool.submit(PROBLEM, "sleep 0.3")
        marked = pool.submit(Problem("p", "hostile", (), ""), f"wait_once {tmp_path / 'marker'}")
        pool.cancel([marked])
        last = pool.submit(PROBLEM, "right")
        assert [reward.total for reward in pool.collect([running, last])] == [0.0, 1.0]
        assert not (tmp_path / "marker").exists()
        with pytest.raises(ValueError, match="ticket"):
            pool.collect([marked])


def test_a_spare_worker_waits_and_takes_over():
    with RewardPool(DOMAINS, RewardsConfig(workers=1, cpu_seconds=0.3)) as pool:
        for _ in range(200):
            if pool._nursery._spares:
                break
            time.sleep(0.05)
        spare = pool._nursery._spares[0]._process.pid
        assert score(pool, "spin")[0].status is RewardStatus.TIMEOUT
        assert int(score(pool, "pid")[0].parts[NAME]) == spare


def test_phase_and_settings_reach_the_workers():
    settled = f"{HOSTILE}:settled"
    domain = Domain(rewards={"answer_format": 1.0, settled: 2.0}, reward_settings={settled: {"marks": 2}})
    phases = (RewardPhase(parts={"answer_format": 1.0}), RewardPhase(parts={settled: 0.5}, from_progress=0.5))
    settings = RewardsConfig(workers=1, settings={settled: {"right": 10.0}})
    with RewardPool({"d": domain}, settings, phases) as pool:
        problem = Problem("p", "d", (), "")
        rewards = pool.collect([pool.submit(problem, "!!", phase) for phase in (0, 1, None)])
        assert [reward.total for reward in rewards] == [0.0, 10.0, 20.0]
        assert [len(reward.parts) for reward in rewards] == [1, 1, 2]
        with pytest.raises(ValueError, match="phase 2"):
            pool.submit(problem, "!!", 2)


def test_a_reward_that_needs_a_sandbox_is_told_which_one_was_chosen(tmp_path: Path):
    file = tmp_path / "confined.py"
    file.write_text(
        "NEEDS_SANDBOX = True\nseen = []\n\ndef warm_up(settings):\n    seen.append(settings.sandbox)\n\n"
        "def names_it(problem, completion):\n    return float(seen == [completion])\n",
        encoding="utf-8",
    )
    domains = {"hostile": Domain(rewards={f"{file}:names_it": 1.0})}
    with RewardPool(domains, RewardsConfig(workers=1, sandbox="none", run_unconfined_code=True)) as pool:
        assert score(pool, "none")[0].total == 1.0
    with pytest.raises(ConfigError, match="run_unconfined_code"):
        RewardPool(domains, RewardsConfig(workers=1, sandbox="none"))


def test_slots_never_exceed_the_cores(caplog: pytest.LogCaptureFixture):
    cores = len(os.sched_getaffinity(0))
    assert num_slots(RewardsConfig()) == max(1, min(32, cores // 2))
    assert num_slots(RewardsConfig(workers=1)) == 1
    assert not caplog.messages
    assert num_slots(RewardsConfig(workers=cores + 1)) == cores
    assert f"rewards.workers={cores + 1}" in caplog.text


def test_statistics_are_kept_by_domain():
    with RewardPool(DOMAINS, RewardsConfig(workers=1)) as pool:
        score(pool, "right", "raise", "sleep 0.2")
        numbers = pool.statistics()
        assert (numbers["hostile/tasks"], numbers["hostile/invalid"], numbers["format/tasks"]) == (3, 1, 0)
        assert numbers["hostile/check_p99_seconds"] >= 0.2 > numbers["hostile/check_p50_seconds"]
        assert numbers["hostile/queue_wait_p95_seconds"] >= numbers["hostile/queue_wait_p50_seconds"]
        assert numbers["format/check_p95_seconds"] == 0.0


def test_a_worker_lost_once_costs_the_sample_nothing(pool: RewardPool, tmp_path: Path):
    problem = Problem("p", "hostile", (), f"exit_once {tmp_path / 'marker'}")
    (reward,) = pool.collect([pool.submit(problem, problem.ground_truth)])
    assert (reward.status, reward.total) == (RewardStatus.PASS, 1.0)


@pytest.mark.parametrize("command", ["raise", "system_exit", "nan"])
def test_a_failing_checker_is_invalid_without_a_total(pool: RewardPool, command: str):
    (reward,) = score(pool, command)
    assert reward.status is RewardStatus.INVALID
    assert reward.total is None
    assert reward.reason.startswith(NAME)
    assert "\n" not in reward.reason


def test_prints_of_a_reward_function_do_not_reach_the_channel(pool: RewardPool):
    assert [reward.total for reward in score(pool, "print", "right", "print", "right")] == [0.0, 1.0, 0.0, 1.0]


def test_workers_import_no_accelerator_library(pool: RewardPool):
    assert score(pool, "modules")[0].parts[NAME] == 0.0


def test_what_a_killed_check_started_is_killed_too(pool: RewardPool, tmp_path: Path):
    marker = tmp_path / "pid"
    (reward,) = score(pool, f"child {marker}")
    assert reward.status is RewardStatus.TIMEOUT
    assert wait_gone(int(marker.read_text(encoding="ascii")))


def test_a_collect_deadline_gives_up_late_samples_only(pool: RewardPool):
    tickets = [pool.submit(PROBLEM, completion) for completion in ("right", "sleep 0.8", "sleep 0.8", "right")]
    rewards = pool.collect(tickets, deadline_seconds=0.4)
    assert rewards[0].status is RewardStatus.PASS
    assert [reward.status for reward in rewards[1:3]] == [RewardStatus.INVALID] * 2
    assert "0.4" in rewards[1].reason
    assert score(pool, "right")[0].status is RewardStatus.PASS


def test_threads_may_submit_at_the_same_time(pool: RewardPool):
    results: dict[int, list[Reward]] = {}

    def work(index: int) -> None:
        results[index] = score(pool, *(["right", "wrong"] * 20))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all([reward.total for reward in rewards] == [1.0, 0.0] * 20 for rewards in results.values())


def test_tickets_are_collected_once_and_known(pool: RewardPool):
    ticket = pool.submit(PROBLEM, "right")
    pool.collect([ticket])
    for wrong in ([ticket], [10**9], [(again := pool.submit(PROBLEM, "right")), again]):
        with pytest.raises(ValueError, match="ticket"):
            pool.collect(wrong)


def test_an_unknown_domain_is_named(pool: RewardPool):
    with pytest.raises(ValueError, match="chess"):
        pool.submit(Problem("p", "chess", (), "1"), "1")


def test_statistics_count_what_happened():
    # A pool of its own: samples that other tests gave up may still be on their way through a shared one.
    with RewardPool(DOMAINS, RewardsConfig(workers=2, timeout_seconds=1.0)) as pool:
        score(pool, "right", "raise", "spin")
        found = pool.statistics()
    assert {name: found[name] for name in ("tasks", "invalid", "timeouts")} == {
        "tasks": 3,
        "invalid": 1,
        "timeouts": 1,
    }
    assert found["workers_busy"] == 0
    assert found["check_p95_seconds"] >= found["check_p50_seconds"] >= 0


def test_close_leaves_no_process_and_ends_a_running_collect():
    threads = set(threading.enumerate())
    with RewardPool(DOMAINS, RewardsConfig(workers=2, timeout_seconds=60.0)) as pool:
        pids = {int(reward.parts[NAME]) for reward in score(pool, *["pid"] * 20)}
        tickets = [pool.submit(PROBLEM, "sleep 50") for _ in range(4)]
        collected: list[Reward] = []
        waiting = threading.Thread(target=lambda: collected.extend(pool.collect(tickets)))
        waiting.start()
        pool.close()
        waiting.join()
        assert [reward.status for reward in collected] == [RewardStatus.INVALID] * 4
        assert pool.collect([pool.submit(PROBLEM, "right")])[0].status is RewardStatus.INVALID
    assert all(wait_gone(pid) for pid in pids)
    assert not [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith("reward-slot")]


def test_workers_die_with_a_killed_parent():
    script = f"""
        import os, signal, time
        from grpo_jax.config import Domain, RewardsConfig
        from grpo_jax.records import Problem
        from grpo_jax.rewards.pool import RewardPool
        settings = RewardsConfig(workers=1, timeout_seconds=100)
        pool = RewardPool({{"hostile": Domain(rewards={{{NAME!r}: 1.0}})}}, settings)
        problem = Problem("p", "hostile", (), "right")
        print(int(pool.collect([pool.submit(problem, "pid")])[0].total), flush=True)
        pool.submit(problem, "spin")
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(HOSTILE.parents[2])},
    )  # fmt: skip
    assert done.stdout, done.stderr
    assert wait_gone(int(done.stdout))


def test_a_worker_that_cannot_start_is_an_error_with_its_output(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRPO_JAX_TEST_BROKEN_HOST", __file__)
    pool = RewardPool(BREAKING, RewardsConfig(workers=1))
    with pytest.raises(RuntimeError, match=r"(?s)printed before the failure.*libexample\.so is missing"):
        pool.wait_ready()


def test_samples_are_invalid_when_no_worker_can_be_started_any_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GRPO_JAX_TEST_BROKEN_HOST", str(tmp_path / "marker"))
    problem = Problem("p", "x", (), "right")
    with RewardPool(BREAKING, RewardsConfig(workers=1)) as pool:
        rewards = pool.collect([pool.submit(problem, "a") for _ in range(3)])
        rewards += pool.collect([pool.submit(problem, "b")])
        assert [reward.status for reward in rewards] == [RewardStatus.INVALID] * 4
        assert all("libexample.so is missing" in reward.reason for reward in rewards)


def test_an_unknown_reward_is_refused_before_any_worker_starts():
    with pytest.raises(ConfigError, match="math"):
        RewardPool({"x": Domain(rewards={"maths": 1.0})}, RewardsConfig(workers=1))
