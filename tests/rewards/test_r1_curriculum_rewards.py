# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The rewards of configs/r1_curriculum_gemma3_1b.py against a table worked by hand.

The parts of each row were written down first, from the published values:

- refusal: -20 a refusal phrase, -10 below 15 characters, +1 an attempt (a tag or a digit), -2 otherwise
- exact: 3 for the whole shape, else 0;  approximate: +0.5 for each of four tags that occurs once, -0.5 for the others
- right: math 3 exact, 1.5 with white space, 0.5 within 10 %, 0.25 within 20 %, -1 another number, -0.5 no number, 0 no
  answer; the other domains weigh right = 1 by 3
- brief: -4 x (characters - 80) / 80 above 80, -2.5 for text behind the answer, -0.5 for each rambling marker

Bootstrap (steps 0 to 249 of 1000) is domain scale x (refusal + exact + approximate); correctness (250 to 749) adds
right, polish (from 750) adds brief. The scales are 1.0, 1.2, 0.8 and 0.7 for math, code, science and logic. The tags
alone are 11 + 12 + 8 + 9 = 40 characters.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from grpo_jax.config import RunConfig
from grpo_jax.overrides import load_config
from grpo_jax.records import ConfigError, Problem, Reward
from grpo_jax.rewards.pool import RewardPool
from grpo_jax.rewards.router import Router
from grpo_jax.rewards.sandbox.selection import select_backend
from grpo_jax.rewards_config import phase_starts

GOLDS = {
    "math": "72",
    "code": {"kind": "asserts", "tests": ["assert f(2) == 4", "assert f(5) == 10"], "setup": "", "imports": []},
    "science": {"label": "B", "choices": {"A": "fog", "B": "rain", "C": "snow"}},
    "logic": "yes",
}
RIGHT = {"math": "answer", "code": "code", "science": "choice", "logic": "yes_no"}


def tagged(reasoning: str, answer: str) -> str:
    return f"<reasoning>{reasoning}</reasoning>\n<answer>{answer}</answer>"


def block(body: str) -> str:
    """1 + 10 characters to open the block, 10 + 12 for the program and 4 to close it: 37."""
    return f"\n```python\ndef f(n):\n return {body}\n```\n"


@dataclass(frozen=True)
class Worked:
    """One row: its parts (refusal, exact, approximate, right, brief) and the totals of the three phases."""

    domain: str
    completion: str
    parts: tuple[float, float, float, float, float]
    bootstrap: float
    correctness: float
    polish: float


TABLE = [
    Worked("math", tagged("48+24=72", "72"), (1, 3, 2, 3, 0), 6, 9, 9),
    Worked("math", tagged("48+24=72", " 72 "), (1, 3, 2, 1.5, 0), 6, 7.5, 7.5),
    Worked("math", tagged("48+27=75", "75"), (1, 3, 2, 0.5, 0), 6, 6.5, 6.5),  # 3/72 = 4.2 % off
    Worked("math", tagged("48+12=60", "60"), (1, 3, 2, 0.25, 0), 6, 6.25, 6.25),  # 12/72 = 16.7 % off
    Worked("math", tagged("48+52=100", "100"), (1, 3, 2, -1, 0), 6, 5, 5),
    Worked("math", tagged("a lot", "many"), (1, 3, 2, -0.5, 0), 6, 5.5, 5.5),
    Worked("math", "The result is 72.", (1, 0, -2, 0, 0), -1, -1, -1),
    Worked("math", "72", (-10, 0, -2, 0, 0), -12, -12, -12),
    Worked("math", "I cannot answer that question.", (-20, 0, -2, 0, 0), -22, -22, -22),
    Worked("math", tagged("48+24=72", "72") + " Done.", (1, 0, 2, 3, -2.5), 3, 6, 3.5),
    # 40 for the tags + 57 + 1 line feed + 2 = 100 characters, 20 too many: -4 x 20/80 = -1
    Worked("math", tagged("x" * 57, "72"), (1, 3, 2, 3, -1), 6, 9, 8),
    Worked("math", tagged("however, let us add: 72", "72"), (1, 3, 2, 3, -1), 6, 9, 8),  # two markers
    # 2 x 40 for the tags + 2 line feeds + 8 + 2 + 2 = 94 characters, 14 too many: -4 x 14/80 = -0.7, and -2.5
    Worked("math", tagged("48+24=72", "72") + tagged("", "72"), (1, 0, -2, 3, -3.2), -1, 2, -1.2),
    Worked("science", tagged("wet", "B"), (1, 3, 2, 1, 0), 4.8, 7.2, 7.2),  # 0.8 x 6, 0.8 x 9
    Worked("science", tagged("wet", "Rain"), (1, 3, 2, 1, 0), 4.8, 7.2, 7.2),
    Worked("science", tagged("wet", "A or B"), (1, 3, 2, 0, 0), 4.8, 4.8, 4.8),
    Worked("science", "it depends on the weather", (-2, 0, -2, 0, 0), -3.2, -3.2, -3.2),
    Worked("logic", tagged("so", "Yes"), (1, 3, 2, 1, 0), 4.2, 6.3, 6.3),  # 0.7 x 6, 0.7 x 9
    Worked("logic", tagged("so", "no"), (1, 3, 2, 0, 0), 4.2, 4.2, 4.2),
    Worked("logic", "<reasoning>so</reasoning>\nYes", (1, 0, 0, 1, 0), 0.7, 2.8, 2.8),  # two tags there, two not
    # 40 for the tags + 22 + 1 line feed + 37 for the block = 100 characters, 20 too many: -4 x 20/80 = -1
    Worked("code", tagged("twice the number given", block("2*n")), (1, 3, 2, 1, -1), 7.2, 10.8, 9.6),  # 1.2 x 6, 9, 8
    Worked("code", tagged("twice the number given", block("3*n")), (1, 3, 2, 0, -1), 7.2, 7.2, 6.0),  # 1.2 x 6, 6, 5
]


@pytest.fixture(scope="module")
def config(repo_root: Path) -> RunConfig:
    return load_config(repo_root / "configs" / "r1_curriculum_gemma3_1b.py")


@pytest.fixture(scope="module")
def router(config: RunConfig) -> Router:
    return Router(config.domains, config.rewards, config.curriculum.phases)


def check(row: Worked, phase: int, reward: Reward) -> None:
    """Compare a row with the reward of one phase."""
    names = ("refusal", "format_exact", "format_approximate", RIGHT[row.domain], "length_and_rambling")
    count = 3 + phase
    assert reward.parts == pytest.approx(dict(zip(names[:count], row.parts[:count], strict=True)))
    assert reward.total == pytest.approx((row.bootstrap, row.correctness, row.polish)[phase])


@pytest.mark.parametrize("row", [row for row in TABLE if row.domain != "code"])
def test_totals_and_parts_are_those_worked_by_hand(router: Router, row: Worked):
    problem = Problem("p", row.domain, (), GOLDS[row.domain])
    for phase in range(3):
        check(row, phase, router.score(problem, row.completion, phase))


def test_programs_earn_what_was_worked_by_hand(config: RunConfig):
    try:
        select_backend("auto", False)
    except ConfigError as error:
        pytest.skip(f"no sandbox on this host: {error}")
    rows = [(row, phase) for row in TABLE if row.domain == "code" for phase in range(3)]
    settings = replace(config.rewards, workers=1)
    with RewardPool({"code": config.domains["code"]}, settings, config.curriculum.phases) as pool:
        problem = Problem("p", "code", (), GOLDS["code"])
        rewards = pool.collect([pool.submit(problem, row.completion, phase) for row, phase in rows])
    for (row, phase), reward in zip(rows, rewards, strict=True):
        check(row, phase, reward)


def test_the_tables_totals_are_the_sums_of_its_parts():
    for row in TABLE:
        scale = {"math": 1.0, "code": 1.2, "science": 0.8, "logic": 0.7}[row.domain]
        weights = (1, 1, 1, 1 if row.domain == "math" else 3, 1)
        sums = [sum(w * p for w, p in zip(weights[:n], row.parts[:n], strict=True)) for n in (3, 4, 5)]
        assert [scale * value for value in sums] == pytest.approx([row.bootstrap, row.correctness, row.polish])


def test_phases_begin_at_a_quarter_and_three_quarters_and_scales_follow_the_domains(config: RunConfig):
    assert [phase.name for phase in config.curriculum.phases] == ["bootstrap", "correctness", "polish"]
    assert phase_starts(config.curriculum.phases) == (0.0, 0.25, 0.75)
    scales = {name: domain.reward_scale for name, domain in config.domains.items()}
    assert scales == {"math": 1.0, "code": 1.2, "science": 0.8, "logic": 0.7}
