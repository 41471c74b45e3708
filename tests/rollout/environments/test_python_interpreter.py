# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Programs of replies run in the sandbox, and what they print comes back."""

import json
import os

import pytest

from grpo_jax.config import Domain, RewardsConfig, RunConfig, SamplingConfig
from grpo_jax.records import Problem, RolloutEnd
from grpo_jax.rollout.dispatcher import Dispatcher
from grpo_jax.rollout.environments.python_interpreter import PythonInterpreter
from grpo_jax.rollout.functions import RolloutFunctions
from grpo_jax.rollout_config import RolloutConfig
from tests.fakes.byte_tokenizer import ByteTokenizer
from tests.fakes.groups import make_prompt
from tests.fakes.scripted_sampler import ScriptedSampler, saying
from tests.fakes.scripted_turns import ScriptedTurns, outcome_of

PROBLEM = Problem("p", "math", ({"role": "user", "content": "What is 17 ** 5?"},), "1419857")


@pytest.fixture(scope="module")
def interpreter():
    own = PythonInterpreter(RunConfig(), workers=1, cpu_seconds=0.5, wall_seconds=1.0, max_output_characters=200)
    yield own
    own.close()


def test_code_runs_its_output_is_read_and_the_answer_is_the_last_reply(interpreter):
    generate = ScriptedTurns(["Let me see.\n```python\nprint(17 ** 5)\n```", "It is 1419857."])
    outcome = outcome_of(interpreter(PROBLEM, generate))
    assert generate.said[1][0]["content"] == "```output\n1419857\n```"
    assert outcome.turn.text == "It is 1419857."
    assert outcome.reward is None
    assert outcome.detail == {"programs_run": 1, "programs_failed": 0}


def test_as_a_tool_it_is_called_by_the_template_and_answers_as_one():
    own = PythonInterpreter(RunConfig(), workers=1, style="tool")
    call = json.dumps({"name": "python", "arguments": {"code": "print(6 * 7)"}})
    generate = ScriptedTurns([f"<tool_call>\n{call}\n</tool_call>", "42"])
    outcome_of(own(PROBLEM, generate))
    own.close()
    assert generate.tools[0]["function"]["name"] == "python"
    assert generate.said[1] == [{"role": "tool", "name": "python", "content": "42"}]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\nprint(x / 0)", "line 2: ZeroDivisionError: division by zero"),
        ("print('a'", "SyntaxError"),
        ("while True: pass", "[stopped: over its"),
        ("pass", "[no output]"),
        ("open('/etc/passwd')", "Error"),
        ("print('y' * 5000)", "\n...\n"),
    ],
)
def test_whatever_a_program_does_the_policy_is_told(interpreter, source, said):
    text, _ = interpreter.run(source)
    assert said in text
    assert len(text) < 300


def test_waiting_for_a_sandbox_that_others_keep_busy_makes_nobody_late():
    own = PythonInterpreter(RunConfig(), workers=1)
    config = RunConfig(
        domains={"plain": Domain(rewards={"math": 1.0}, rollout=own)},
        sampling=SamplingConfig(max_completion_tokens=400),
        rollout=RolloutConfig(seconds=0.3),
    )
    program = "```python\nimport time\ntime.sleep(0.4)\nprint(1)\n```"

    def answer(request, partial):
        return saying("1" if b"output" in bytes(partial.token_ids[partial.token_ids < 256].tolist()) else program)

    with Dispatcher(config, ByteTokenizer(), RolloutFunctions(config)) as dispatcher:
        ended = [*dispatcher.play({0: make_prompt([65, 66])}, 6, ScriptedSampler(answer), step=1)]
    own.close()
    assert [one.end for one in ended] == [RolloutEnd.DONE] * 6
    assert all(one.outcome is not None and one.outcome.detail["programs_run"] == 1 for one in ended)


def test_as_many_programs_run_at_once_as_rewards_have_workers():
    own = PythonInterpreter(RunConfig(rewards=RewardsConfig(workers=1)))
    assert [*own._threads.map(own.run, ["print(1)"] * 3)] == [("1", False)] * 3
    assert len(own._sandboxes) == 1
    own.close()


def test_closing_leaves_no_process():
    own = PythonInterpreter(RunConfig(), workers=1)
    own.run("print(1)")
    pids = [sandbox.pid for sandbox in own._sandboxes]
    own.close()
    assert pids
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
