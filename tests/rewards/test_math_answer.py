# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs judged by hand. PASS pairs mean the same answer to a teacher; FAIL pairs do not."""

import itertools
import json
import random
from fractions import Fraction
from pathlib import Path

import pytest

from grpo_jax.records import Problem, RewardStatus
from grpo_jax.rewards.math_answer import compare_answers, math_last_number_reward, math_reward

SAME = [
    ("18", "18"), ("18", "18.0"), ("18", "018"), ("18", "+18"), ("-5", "−5"), ("-1", "(-1)"), (".5", "0.5"),
    ("5.", "5"), ("1,234", "1234"), ("1234", "1{,}234"), ("10000", r"10,\!000"), ("1 000", "1000"),
    ("1,000,000", "1000000"), ("5 million", "5,000,000"), ("$1,234.50", r"\$1234.5"), ("5", "5 dollars"),
    ("1/2", "0.5"), ("1/2", r"\frac12"), ("1/2", r"\dfrac{1}{2}"), ("1/2", "2/4"), ("½", "0.5"), ("3½", "3.5"),
    (r"-\frac34", r"\frac{-3}{4}"), (r"-\frac{-1}{2}", "0.5"), ("1.5", r"1\frac{1}{2}"), ("-3.5", "-3 1/2"),
    (r"0.\overline{3}", "1/3"), ("1.2e3", "1200"), (r"3 \times 10^{8}", "300000000"), ("0.001", "10^{-3}"),
    ("1024", "2^{10}"), ("2^10", "1024"), ("50%", "0.5"), ("50%", "50"), ("45", r"45\%"), ("0.45", "45%"),
    ("45%", "45 percent"), ("5", r"5 \text{ cm}^2"), (r"5 \text{ m}", "5 meters"), ("90", r"90^\circ"),
    ("25 cm^2", "25 square centimeters"), ("x = 5", "5"), ("5", "x=5"), ("5", "$x = 5$"), ("y = 2x+3", "2x + 3"),
    ("7", "3 + 4 = 7"), ("(1,2)", r"\left( 1, 2 \right)"), ("(1, 1/2)", "(1, 0.5)"), ("(x, y) = (1, 2)", "(1,2)"),
    ("[1,2)", "[1, 2)"), (r"\{1,2\}", "2, 1"), ("1, 2", "x=1 or x=2"), ("1,2", "1 and 2"), (r"\pm 3", "3, -3"),
    (r"1 \pm \sqrt 2", r"1-\sqrt{2}, 1+\sqrt{2}"), (r"\emptyset", r"\{\}"), ("(1,2),(3,4)", "(3,4), (1,2)"),
    (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty) \cup (-\infty, 2)"), (r"x \in [1,2]", "[1,2]"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"), ("100,200", "100, 200"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"), ("sqrt(8)", "2*sqrt(2)"), (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"12\sqrt{13}", r"12\sqrt{13}\text{ feet}"), (r"\frac{\pi}{2}", r"0.5\pi"), ("3π", r"3\pi"),
    ("2x+3", "3+2x"), ("x^10", "x**10"), (r"(x+1)^2", "x^2+2x+1"), (r"\cos(2x)", r"1-2\sin^2 x"), ("720", "6!"),
    (r"\log_2 8", "3"), (r"\binom{5}{2}", "10"), ("x^2+y^2=1", "y^2+x^2=1"), ("x>5", "5<x"), (r"x \le 5", "x <= 5"),
    ("A", "(A)"), (r"\text{(E)}", "E"), ("C", "C. twelve"), ("Yes", "yes."), (r"\text{May}", "may"), ("2:3", "2 : 3"),
    (r"\frac{M}{M+m}", r"\frac{M}{m+M}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]"),
    (r"\begin{pmatrix}1/2\\0.5\end{pmatrix}", r"\begin{pmatrix}\frac12\\ \frac{1}{2}\end{pmatrix}"),
    ("x+y=1", "2x+2y=2"), ("x^2-5x+6=0", "x^2 - 5x = -6"), ("y = x^2", "x^2 = y"), ("5", "5 = x"),
    (r"(-\infty, 3]", r"x \leq 3"), ("(2, 5)", "2 < x < 5"), (r"x \ge 2", r"[2,\infty)"),
    (r"\mathbb{R}", r"(-\infty,\infty)"), (r"\{x \mid x > 2\}", r"(2,\infty)"), (r"\langle 1,2\rangle", "(1,2)"),
    (r"\{1,2,3\}", r"\{3,1,2,2\}"),
    ("12 hours", "12"), ("3+4i", "4i+3"), (r"\frac{1+i}{2}", "0.5+0.5i"), ("2i", "(1+i)^2"), (r"e^{i\pi}", "-1"),
    (r"\sqrt[3]{8}", "2"), (r"2^{1/2}", r"\sqrt2"), (r"\cot x", r"\frac{\cos x}{\sin x}"),
    (r"\text{no solution}", "No Solution"), (r"\frac{\frac12}{3}", r"\frac16"),
    (r"\frac{x+1}{x-1}", "(x+1)/(x-1)"), ("2,4,6", "2, 4, and 6"),
    (r"\frac{1}{2^{98}}", "2^{-98}"), ("y=2x-13", "2x-y-13=0"),
]  # fmt: skip
DIFFERENT = [
    ("18", "-18"), ("18", "18.01"), ("0.1", "0.10000001"), ("1/3", "0.3333"), (r"\sqrt{2}", "1.414214"),
    ("e", "2.718281828"), ("5", r"\neq 5"), ("5", "x > 5"), ("5", "not 5"), ("5", "5 or 6"), ("5", "5, 6"),
    ("2", "1 or 2"), ("5", "5 million"), ("5", "5 is wrong"), ("5", "15"), ("12", "1 2"), ("11/2", "1 1/2"),
    ("7", "3+4"), ("408", "12*34"), ("408", r"12 \times 34"), ("5", "5x"), ("5x", "5"), ("5m", "5"), ("5 m", "5 cm"),
    ("25 cm", "25 cm^2"), ("73%", r"73^\circ"), ("50%", "5"), ("x = 5", "y = 5"), ("y = 2x+3", "x = 2y+3"),
    ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), ("(1,2)", "(1,2,3)"), ("(1,2)", "1"), (r"\{1,2\}", "1"), ("1,2", "1,2,2"),
    ("1, 2", "1, 3"), (r"\pm 3", "3"), ("(-1, 2)", r"(-\infty, 2)"), ("x>5", r"x \geq 5"), ("x>5", "x<5"),
    ("2x+3", "2x-3"), ("n", "N"), (r"\frac{M}{M+m}", r"\frac{m}{m+M}"), ("-37", "-37_8"), ("1010", "1010_2"),
    ("A", "A or B"), ("A", "B"), ("A", "A dog"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"), ("x+y=1", "x+y=2"),
    (r"(-\infty,3]", "x < 3"), ("(2,5)", r"2 \le x < 5"), ("2x = 10", "x = 4"), ("x = 5", "2x = 10"), ("3+4i", "3-4i"),
    (r"\mathbb{R}", r"\mathbb{Z}"), ("(0,1)\\cup(2,3)", "(0,1)"), ("2 hours", "2 minutes"), ("1,5", "15"),
    (r"\pi", "22/7"), (r"e^{i\pi}", "1"), ("1000", "1.000"), ("12", "1{,}2"), (r"\infty", r"-\infty"), ("100%", "1%"),
    (r"\frac{1}{2^{98}}", r"-\frac{1}{2^{98}}"), (r"\frac{1}{2^{98}}", r"\frac{1}{2^{99}}"),
    ("y = 2x-13", "-y = 2x-13"), ("10^{20}+1", "10^{20}+2"), (r"\sqrt{2}", r"\sqrt{2}+10^{-20}"), ("x+1", "x+2"),
    ("0", "10^{-30}"), ("0", r"\sqrt{2}-\sqrt{3}"),
    ("May", "June"), ("10", "10 am"), ("5", "1/0"), ("3", "2:1"), ("5", "9^{9^{9^9}}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
]  # fmt: skip
UNREADABLE = [
    ("5", "I think that it is five"),
    (r"\sqrt{2}", r"9^{9^{9^{9}}}"),
    (r"\sqrt{2}", r"((((9^{99})^{99})^{99})^{99})x"),
    (r"\sqrt{2}", "x^{77777777}"),
    (r"\sqrt{2}", "(100!)!x"),
    (r"\sqrt{2}", "2" * 5000),
    (r"\sqrt{2}", "(" * 200 + "x" + ")" * 200),
    (r"\sqrt{2}", "__import__('os').system('true')"),
    (r"\sqrt{2}", r"\sqrt{2"),
    (r"\sqrt{2}", r"\int_0^1 x dx"),
    (r"\sqrt{2}", "(x+y+z)^{400}"),
    (r"\sqrt{2}", r"\binom{99999999}{44444444}"),
    (r"\sqrt{2}", r"\binom{10^9}{10^8}"),
    (r"\sqrt{2}", "2^{399}^{399}x"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_same_answers_pass(gold: str, answer: str):
    assert compare_answers(gold, answer) is RewardStatus.PASS


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_answers_never_pass(gold: str, answer: str):
    assert compare_answers(gold, answer) in (RewardStatus.FAIL, RewardStatus.UNPARSABLE)


@pytest.mark.parametrize(("gold", "answer"), UNREADABLE)
def test_what_cannot_be_read_is_unparsable(gold: str, answer: str):
    assert compare_answers(gold, answer) is RewardStatus.UNPARSABLE


def _spellings(value: Fraction, generator: random.Random) -> list[str]:
    """Ways in which people write a rational number."""
    above, below = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    scale = generator.randint(2, 9)
    spelt = [f"{sign}{above}/{below}", rf"{sign}\frac{{{above}}}{{{below}}}", rf"${sign}\dfrac{{{above}}}{{{below}}}$"]
    spelt += [f"{sign}{above * scale}/{below * scale}", rf"x = {sign}\tfrac{{{above}}}{{{below}}}"]
    if above > below > 1:
        spelt += [rf"{sign}{above // below}\frac{{{above % below}}}{{{below}}}"]
        spelt += [f"{sign}{above // below} {above % below}/{below}"]
    if below == 1:
        spelt += [f"{value}", f"{int(value):,}", f"{value}.0", f"{value} apples", rf"{int(value):,}\text{{ cm}}"]
    if not 1000 % below:
        digits = above * (1000 // below)
        spelt += [f"{sign}{digits // 1000}.{digits % 1000:03d}", rf"{sign}{digits} \times 10^{{-3}}"]
        spelt += [f"{sign}{digits * 100 // 1000}.{digits * 100 % 1000:03d}%"]
    return spelt


def test_random_rationals_agree_in_all_spellings_and_with_no_other_number():
    generator = random.Random(7)
    for _ in range(150):
        value = Fraction(generator.randint(-9999, 9999), generator.choice([1, 1, 2, 3, 4, 5, 7, 8, 25, 100, 125]))
        spellings = _spellings(value, generator)
        other = value + Fraction(generator.choice([-1, 1]), generator.choice([1, 2, 10, 10**6]))
        for gold in spellings:
            answer = generator.choice(spellings)
            units = {unit for unit in ("%", "apples", "cm") for text in (gold, answer) if unit in text}
            if len(units) < 2:  # a share, a count and a length are different answers, whatever the figures
                assert compare_answers(gold, answer) is RewardStatus.PASS, (gold, answer)
            if "%" not in gold:
                wrong = rf"\frac{{{other.numerator}}}{{{other.denominator}}}"
                assert compare_answers(gold, wrong) is RewardStatus.FAIL, (gold, wrong)


def test_any_of_several_gold_answers_passes():
    problem = Problem("p", "math", (), ["1/2", "one half"])
    assert math_reward(problem, "<answer>0.5</answer>").status is RewardStatus.PASS
    assert math_reward(problem, "<answer>One half</answer>").status is RewardStatus.PASS
    assert math_reward(problem, "<answer>1/3</answer>").status is RewardStatus.FAIL


@pytest.mark.parametrize("gold", ["18", 18, "3 * 6 = 18\n#### 18", r"so \boxed{18}"])
def test_gold_answers_may_be_numbers_or_marked_solutions(gold: object):
    assert math_reward(Problem("p", "math", (), gold), "The answer is 18.").value == 1.0


@pytest.mark.parametrize(("file", "solution"), [("gsm8k/test.jsonl", "answer"), ("math/train.jsonl", "solution")])
def test_public_solutions_earn_their_own_answers(shared_data: Path, file: str, solution: str):
    with (shared_data / file).open(encoding="utf-8") as lines:
        for line in itertools.islice(lines, 500):
            row = json.loads(line)
            gold = row[solution].rpartition("####")[2].strip() if file.startswith("gsm8k") else row["answer"]
            assert math_reward(Problem("p", "math", (), gold), row[solution]).value == 1.0, (gold, row[solution])


def test_statuses_and_values():
    problem = Problem("p", "math", (), "18")
    right = math_reward(problem, r"\boxed{18}")
    assert (right.value, right.status) == (1.0, RewardStatus.PASS)
    wrong = math_reward(problem, r"\boxed{18} no: \boxed{19}")
    assert (wrong.value, wrong.status) == (0.0, RewardStatus.FAIL)
    silent = math_reward(problem, "perhaps 18")
    assert (silent.value, silent.status) == (0.0, RewardStatus.NO_ANSWER)
    assert math_last_number_reward(problem, "perhaps 18").status is RewardStatus.PASS


@pytest.mark.parametrize("gold", [None, "", "  ", {"a": 1}, [], [None], True])
def test_a_problem_without_an_answer_is_the_checkers_failure(gold: object):
    with pytest.raises(ValueError, match="ground_truth"):
        math_reward(Problem("p", "math", (), gold), r"\boxed{1}")
