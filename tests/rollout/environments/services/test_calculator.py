# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The calculator as the policy calls it: right results, and a refusal for whatever else it is given."""

import json
import math

import pytest

from grpo_jax.rollout.environments.services.service import READY, Services


def call(name, **arguments):
    return Services({"MathAPI": {}}, READY).call(name, arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("absolute_value", {"number": -3}, 3),
        ("add", {"a": 1, "b": 0.5}, 1.5),
        ("subtract", {"a": 1, "b": 3}, -2),
        ("multiply", {"a": 10**300, "b": 10**300}, 10**600),
        ("divide", {"a": 1, "b": 4}, 0.25),
        ("power", {"base": 2, "exponent": 0.5}, math.sqrt(2)),
        ("square_root", {"number": 2, "precision": 3}, 1.414),
        ("logarithm", {"value": 36.0, "base": 6.0, "precision": 4}, 2.0),
        ("mean", {"numbers": [1, 2, 6]}, 3.0),
        ("standard_deviation", {"numbers": [1, 3]}, 1.0),
        ("sum_values", {"numbers": [0.1] * 10}, 1.0),
        ("max_value", {"numbers": [1, 3]}, 3),
        ("min_value", {"numbers": [1, 3]}, 1),
        ("percentage", {"part": 1, "whole": 4}, 25.0),
        ("round_number", {"number": 1234, "decimal_places": -2}, 1200),
        ("si_unit_conversion", {"value": 2, "unit_in": "kilometer", "unit_out": "meters"}, 2000.0),
        ("imperial_si_conversion", {"value": 2.54, "unit_in": "cm", "unit_out": "in"}, 1.0),
    ],
)
def test_results(name, arguments, result):
    assert call(name, **arguments)["result"] == pytest.approx(result)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("round_number", {"number": 5, "decimal_places": -1_000_000_000}),
        ("round_number", {"number": 5, "decimal_places": 1.0}),
        ("round_number", {"number": "5"}),
        ("multiply", {"a": "5", "b": 1_000_000_000}),
        ("multiply", {"a": [5], "b": 1_000_000_000}),
        ("multiply", {"a": True, "b": 2}),
        ("multiply", {"a": 1e300, "b": 1e300}),
        ("add", {"a": "5", "b": "6"}),
        ("add", {"a": 10**4000, "b": 1}),
        ("absolute_value", {"number": math.nan}),
        ("divide", {"a": 1, "b": 0}),
        ("divide", {"a": "1", "b": 2}),
        ("power", {"base": -8, "exponent": 0.5}),
        ("power", {"base": 0, "exponent": -1}),
        ("power", {"base": 10, "exponent": 10_000}),
        ("square_root", {"number": -1, "precision": 2}),
        ("square_root", {"number": 2, "precision": 10**9}),
        ("logarithm", {"value": 0, "base": 10, "precision": 2}),
        ("mean", {"numbers": []}),
        ("mean", {"numbers": "123"}),
        ("max_value", {"numbers": ["a", "b"]}),
        ("max_value", {"numbers": {"a": 1}}),
        ("si_unit_conversion", {"value": "9", "unit_in": "kilometer", "unit_out": "meter"}),
        ("si_unit_conversion", {"value": 9, "unit_in": 3, "unit_out": "meter"}),
        ("imperial_si_conversion", {"value": None, "unit_in": "cm", "unit_out": "in"}),
    ],
)
def test_what_is_no_number_or_has_no_real_result_is_refused(name, arguments):
    told = call(name, **arguments)
    assert [*told] == ["error"]
    assert json.loads(json.dumps(told)) == told
