# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Groups without a signal are replaced, whole and within their domain."""

import itertools

import pytest

from grpo_jax.rollout.collector import Collected
from grpo_jax.rollout.dynamic_sampling import has_signal, refill
from tests.fakes.groups import make_group

FLAT, ALIVE = [1.0, 1.0], [1.0, 0.0]


def group(name, totals, domain="plain"):
    return make_group([1], [[2], [3]], totals, problem_id=name, domain=domain)


def collected(*groups):
    return Collected(tuple(groups), 10, 1.0, 0.5)


class Supply:
    """Fresh prompts whose groups have the totals of a script; notes how many each round asked for."""

    def __init__(self, *totals):
        self._totals = iter(totals)
        self._numbers = itertools.count()
        self.asked = []

    def draw(self, prompts):
        self.asked.append([prompt.problem.domain for prompt in prompts])
        return prompts

    def collect(self, prompts):
        fresh = [group(f"new{next(self._numbers)}", next(self._totals), p.problem.domain) for p in prompts]
        return collected(*fresh)


def ids(groups):
    return [one.prompt.problem.id for one in groups]


def test_flat_groups_give_way_and_the_others_stay_in_place():
    supply = Supply(ALIVE, ALIVE)
    step = collected(group("a", ALIVE), group("b", FLAT), group("c", ALIVE), group("d", FLAT))
    found = refill(step, supply.draw, supply.collect, max_rounds=3)
    assert ids(found.collected.groups) == ["a", "new0", "c", "new1"]
    assert ids(found.discarded) == ["b", "d"]
    assert found.rounds == 1
    assert (found.collected.sampled_tokens, found.collected.sampling_seconds) == (20, 2.0)


def test_a_replacement_is_of_the_same_domain():
    supply = Supply(ALIVE, ALIVE)
    step = collected(group("a", FLAT, "strange"), group("b", FLAT, "plain"))
    found = refill(step, supply.draw, supply.collect, max_rounds=1)
    assert [one.prompt.problem.domain for one in found.collected.groups] == ["strange", "plain"]
    assert supply.asked == [["strange", "plain"]]


def test_rounds_are_bounded_and_what_still_lacks_a_signal_stays():
    supply = Supply(FLAT, FLAT, FLAT)
    found = refill(collected(group("a", FLAT), group("b", ALIVE)), supply.draw, supply.collect, max_rounds=3)
    assert found.rounds == 3
    assert ids(found.collected.groups) == ["a", "b"]
    assert ids(found.discarded) == ["new0", "new1", "new2"]


def test_spare_prompts_of_a_round_serve_where_others_fail():
    flat = [group(name, FLAT) for name in "abc"]
    supply = Supply(FLAT, ALIVE, ALIVE, ALIVE)
    found = refill(collected(*flat, group("d", ALIVE)), supply.draw, supply.collect, max_rounds=1)
    # Three are wanting, four are asked for: the shapes of compiled programs stay few.
    assert [len(asked) for asked in supply.asked] == [4]
    assert all(has_signal(one) for one in found.collected.groups)


def test_nothing_happens_where_every_group_has_a_signal():
    supply = Supply()
    step = collected(group("a", ALIVE))
    found = refill(step, supply.draw, supply.collect, max_rounds=3)
    assert (found.collected, found.discarded, found.rounds) == (step, (), 0)


@pytest.mark.parametrize(
    ("totals", "signal"),
    [([1.0, 0.0], True), ([0.3, 0.3], False), ([1.0, None], False), ([None, None], False), ([0.1, 0.1 + 1e-9], True)],
)
def test_signal_is_a_difference_of_raw_valid_rewards(totals, signal):
    assert has_signal(group("a", totals)) is signal
