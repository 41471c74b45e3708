# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Function calling against simulated services: reference conversations win, others get what they deserve."""

import ast
import json
from dataclasses import replace

import pytest

from grpo_jax.data.preparation.bfcl import convert_row, join_answers
from grpo_jax.data.preparation.raw_files import open_raw_file
from grpo_jax.data.schema import problem_from_row
from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rollout.environments.function_calling import FunctionCalling, as_tool
from grpo_jax.rollout.environments.services.service import READY, Services
from tests.fakes.scripted_turns import ScriptedTurns, outcome_of

FUNCTIONS = [
    {"name": name, "description": name, "parameters": {"type": "dict", "properties": {"title": {"type": "string"}}}}
    for name in ("ticket_login", "create_ticket", "close_ticket", "get_ticket")
]
PROBLEM = Problem(
    "p",
    "tools",
    ({"role": "user", "content": "Log in as ann and open a ticket about the door.\n\nFunctions:\n{}"},),
    {
        "functions": FUNCTIONS,
        "calls": [
            {"ticket_login": {"username": ["ann"], "password": ["x"]}},
            {"create_ticket": {"title": ["door"]}},
        ],
    },
    extra={
        "later_turns": json.dumps([[{"role": "user", "content": "Close it."}]]),
        "later_calls": json.dumps([["close_ticket(1)"]]),
        "initial_config": json.dumps({"TicketAPI": {}}),
    },
)


def qwen(*calls):
    return "\n".join(f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in calls)


def llama(*calls):
    return "; ".join(json.dumps({"name": n, "parameters": a}) for n, a in calls)


LOGIN, CREATE, CLOSE = (
    ("ticket_login", {"username": "ann", "password": "x"}),
    ("create_ticket", {"title": "door"}),
    ("close_ticket", {"ticket_id": 1}),
)


def play(answers, problem=PROBLEM, **settings):
    generate = ScriptedTurns(answers)
    return outcome_of(FunctionCalling(**settings)(problem, generate)), generate


@pytest.mark.parametrize("write", [qwen, llama])
def test_right_calls_one_by_one_or_in_parallel_are_right_in_both_formats(write):
    one_by_one = [write(LOGIN), write(CREATE), "Done.", write(CLOSE), "Closed."]
    parallel = [write(LOGIN, CREATE), "Done.", write(CLOSE), "Closed."]
    for answers in (one_by_one, parallel):
        outcome, generate = play(answers)
        assert outcome.reward == 1.0
        assert outcome.status is RewardStatus.PASS
        assert generate.said[0][0]["content"] == "Log in as ann and open a ticket about the door."
        assert generate.tools[0]["function"]["parameters"]["type"] == "object"
    assert [message["role"] for message in generate.said[1]] == ["tool", "tool"]
    assert json.loads(generate.said[1][1]["content"])["created_by"] == "ann"


def test_a_wrong_turn_costs_its_share():
    outcome, _ = play([qwen(LOGIN, CREATE), "Done.", "I will not."])
    assert outcome.reward == 0.5
    assert play([qwen(LOGIN, CREATE), "Done.", "I will not."], all_turns=True)[0].reward == 0.0


def test_errors_are_read_and_can_be_mended():
    answers = [qwen(CREATE), qwen(LOGIN), qwen(("create_ticket", {"titel": "door"})), qwen(CREATE), "", qwen(CLOSE), ""]
    outcome, generate = play(answers)
    told = [json.loads(said[0]["content"])["error"] for said in (generate.said[1], generate.said[3])]
    assert "logged in" in told[0]
    assert "title" in told[1]
    assert outcome.reward == 1.0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("power", {"base": -8, "exponent": 0.5}),
        ("multiply", {"a": "5", "b": 1_000_000_000}),
        ("round_number", {"number": 5, "decimal_places": -1_000_000_000}),
        ("cat", {"file_name": "\ud800"}),
        ("ticket_login", {"username": [], "password": "x"}),
        ("create_ticket", {"title": json.loads("[" * 80 + "]" * 80)}),
    ],
)
def test_calls_with_nonsense_are_read_as_errors_and_leave_the_policy_its_bad_reward(name, arguments):
    functions = [*FUNCTIONS, *({"name": own} for own in ("power", "multiply", "round_number", "cat"))]
    problem = replace(
        PROBLEM,
        ground_truth={**PROBLEM.ground_truth, "functions": functions},
        extra={
            **PROBLEM.extra,
            "initial_config": json.dumps({"TicketAPI": {}, "MathAPI": {}, "GorillaFileSystem": {}}),
        },
    )
    outcome, generate = play([qwen((name, arguments)), "I give up.", "And again."], problem)
    told = generate.said[1][0]["content"]
    assert not json.loads(told).get("success", False)
    assert told.encode()  # which half of a surrogate pair would not let it
    assert outcome.reward == 0.0


def test_calls_that_never_end_are_ended():
    outcome, generate = play(lambda said: qwen(LOGIN), calls=3)
    assert len(generate.said) == 6  # three in each of two turns of the user
    assert outcome.reward == 0.0


def test_a_single_turn_is_left_to_the_domains_rewards():
    single = Problem("p", "tools", PROBLEM.messages, PROBLEM.ground_truth)
    outcome, generate = play([qwen(LOGIN, CREATE)], single)
    assert outcome.reward is None
    assert outcome.turn.text == qwen(LOGIN, CREATE)
    assert generate.tools is not None


def test_a_tool_is_a_json_schema():
    parameters = {"type": "dict", "properties": {"a": {"type": "array", "items": {"type": "float"}}}}
    tool = as_tool({"name": "f", "parameters": parameters})
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "number"}}},
    }


def test_reference_conversations_of_the_leaderboard_win(shared_data):
    path = shared_data / "bfcl" / "BFCL_v4_multi_turn_base.jsonl"
    rows = open_raw_file(path)
    played = 0
    for index in range(len(rows)):
        raw = rows.row(index)
        if not set(raw["involved_classes"]) <= set(READY):
            continue
        joined = join_answers(raw, path, "row")
        calls = [call for turn in joined["ground_truth"] for call in turn]
        if not joined["ground_truth"][0] or any(ast.parse(call, mode="eval").body.args for call in calls):
            continue  # some references have arguments without names, which the policy may not write
        converted = convert_row(joined, "train", index, "row")
        problem = problem_from_row(converted, str(index), "row", "tools")
        answers = []
        for turn in joined["ground_truth"]:
            answers += ([f"[{', '.join(turn)}]"] if turn else []) + ["That is all."]
        outcome, _ = play(answers, problem, calls=40)
        assert outcome.reward == 1.0, (raw["id"], outcome.parts)
        played += 1
    assert played >= 10


def test_services_of_equal_calls_are_in_equal_states_and_others_are_not():
    one, same, other = (Services({"TicketAPI": {}, "GorillaFileSystem": {}}, READY) for _ in range(3))
    for services in (one, same, other):
        services.call("ticket_login", {"username": "a", "password": "b"})
        services.call("touch", {"file_name": "x"})
    assert one.state() == same.state() == other.state()
    other.call("rm", {"file_name": "x"})
    assert one.state() != other.state()
    assert one.call("rm", {"file_name": "y"}) == {"error": "rm: y: No such file or directory"}
    assert "there is no function" in one.call("format_disk", {})["error"]
