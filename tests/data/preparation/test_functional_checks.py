# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""LeetCode's checks as single asserts."""

import pytest

from grpo_jax.data.preparation.functional_checks import functional_truth
from grpo_jax.records import ConfigError
from tests.fakes.raw_rows import FUNCTIONAL

TREE_CHECK = """
def check(candidate):
    assert is_same_tree(candidate(root=tree_node([1, 2, None, 3])), tree_node([1, None, 2, None, 3, None]))
    assert candidate(root=tree_node([])) == None

check(Solution().mirror)
"""
MIRROR = """
class Solution:
    def mirror(self, root: Optional[TreeNode]) -> Optional[TreeNode]:
        if root:
            root.left, root.right = self.mirror(root.right), self.mirror(root.left)
        return root
"""


def run(truth, solution):
    """One result a test: whether it passes."""
    names, results = {}, []
    exec("\n".join([*truth["imports"], solution]), names)
    for test in truth["tests"]:
        try:
            exec(test, names)
        except AssertionError:
            results.append(False)
        else:
            results.append(True)
    return results


def test_each_assert_calls_the_solution_itself():
    truth = functional_truth(
        "def check(f):\n    assert f(1) == 2\n    assert f(x=2) == 3\n\ncheck(next_of)", "", "here"
    )
    assert truth["tests"] == ["assert next_of(1) == 2", "assert next_of(x=2) == 3"]
    assert truth["entry_point"] == "next_of"
    assert run(truth, "def next_of(x):\n    return x + 1") == [True, True]
    assert run(truth, "def next_of(x):\n    return 2") == [True, False]


def test_linked_lists_and_trees_are_compared_as_values():
    lists = functional_truth(FUNCTIONAL["tests"]["functional"], "ListNode", "here")
    assert lists["tests"][0] == "assert list_values(Solution().turn(head=list_node([1, 2, 3]))) == [3, 2, 1]"
    assert run(lists, FUNCTIONAL["solutions"]) == [True, True]
    assert run(lists, FUNCTIONAL["solutions"].replace("return last", "return None")) == [False, True]
    trees = functional_truth(TREE_CHECK, "TreeNode", "here")
    assert trees["tests"][0].endswith("== [1, None, 2, None, 3]")
    assert run(trees, MIRROR) == [True, True]
    assert run(trees, MIRROR.replace("self.mirror(root.right), self.mirror(root.left)", "root.left, root.right")) == [
        False,
        True,
    ]


def test_lists_and_trees_are_defined_only_where_needed():
    plain = functional_truth("def check(f):\n    assert f(1) == 2\n\ncheck(g)", "class Solution: ...", "here")
    assert not any("class " in line for line in plain["imports"])


def test_power_stays_the_built_in_one():
    truth = functional_truth("def check(f):\n    assert f(3) == 5\n\ncheck(g)", "", "here")
    assert run(truth, "def g(n):\n    return pow(n, 3, 11)") == [True]


def test_check_that_is_more_than_asserts_stays_whole():
    source = "def check(candidate):\n    for n in range(3):\n        assert candidate(n) == n\n\ncheck(Solution().same)"
    truth = functional_truth(source, "", "here")
    assert (truth["kind"], truth["entry_point"]) == ("check", "Solution().same")
    names = {}
    exec(f"{truth['prompt']}\nclass Solution:\n    def same(self, n):\n        return n\n{truth['test']}", names)
    exec(f"check({truth['entry_point']})", names)


@pytest.mark.parametrize(
    ("source", "message"),
    [("def check(", "is not Python"), ("check(f)", "must define check"), ("def check(f):\n    assert f()", "one call")],
)
def test_other_text_is_refused(source, message):
    with pytest.raises(ConfigError, match=f"^here: .*{message}"):
        functional_truth(source, "", "here")
