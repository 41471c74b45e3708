# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up raw rows in every shape in which the known public datasets are published."""

import json
from typing import Any

GSM8K = {"question": "Ann has 1,000 nuts and finds 234 more. How many has she?", "answer": "1000+234=1234\n#### 1,234"}

MATH = {
    "problem": "What is one half of three?",
    "level": "Level 2",
    "type": "Algebra",
    "solution": r"Half of it is $\boxed{\frac{3}{2}}$.",
}
MATH_WITH_ANSWER = {
    "problem": "What is one half of five?",
    "level": "Level ?",
    "subject": "Algebra",
    "solution": r"It is \boxed{5/2}.",
    "answer": r"\frac{5}{2}",
    "unique_id": "test/1",
}

MBPP = {
    "text": "Write a function to double a number.",
    "code": "def double(n):\r\n    return 2 * n",
    "task_id": 601,
    "test_setup_code": "",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0", "assert double(-1) == -2"],
    "challenge_test_list": ["assert double(10 ** 9) == 2 * 10 ** 9"],
}
MBPP_SANITIZED = {
    "source_file": "made up",
    "task_id": 12,
    "prompt": "Write a function to halve a number.",
    "code": "import math\ndef halve(n):\n    return n / 2",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(halve(3), 1.5)", "assert halve(0) == 0"],
}

HUMANEVAL = {
    "task_id": "Made/0",
    "prompt": '\n\ndef triple(n: int) -> int:\n    """ Three times n. """\n',
    "entry_point": "triple",
    "canonical_solution": "    return 3 * n\n",
    "test": "\n\ndef check(candidate):\n    assert candidate(2) == 6\n",
}

STATEMENT = "Read two numbers and write their sum.\n\nTime Limit: {'seconds': 2, 'nanos': 500000000}"
STDIN_LISTS = {"problem": STATEMENT, "tests": {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}}
STDIN_PAIRS = {
    "problem": "Halve it. Answers with absolute or relative error of at most $10^{-6}$ are taken.\nTime Limit: 1500 ms",
    "tests": [{"input": "3", "output": "1.5"}],
}
FUNCTIONAL = {
    "problem": (
        "Please solve the programming task below using a self-contained code snippet in a markdown code block.\n\n"
        "Reverse a list.\nPlease complete the following python code precisely:\n"
        "```python\nclass Solution:\n    def turn(self, head: Optional[ListNode]) -> Optional[ListNode]:\n```"
    ),
    "solutions": (
        "class Solution:\n    def turn(self, head: Optional[ListNode]) -> Optional[ListNode]:\n"
        "        last = None\n        while head:\n            head.next, last, head = last, head, head.next\n"
        "        return last\n"
    ),
    "tests": {
        "functional": (
            "def check(candidate):\n"
            "    assert is_same_list(candidate(head = list_node([1,2,3])), list_node([3,2,1]))\n"
            "    assert candidate(head = list_node([])) == None\n\n\ncheck(Solution().turn)"
        )
    },
}
NAMED_FUNCTION = {"problem": "Add.", "tests": json.dumps({"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]})}
LIVE_PAIRS = {
    "problem": "Add.",
    "starter_code": "class Solution:\n    def add(self, a, b):",
    "metadata": '{"func_name": "add"}',
    "tests": [{"input": "1\n[2, 3]", "output": "[3, 4]", "testtype": "functional"}],
}
PUBLISHED_CONTEST = {
    "name": "1_A. Sum",
    "description": "Read two numbers and write their sum.",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["3 4\n"], "output": ["7\n"]},
    "generated_tests": {"input": [], "output": []},
    "solutions": {"language": [2, 3], "solution": ["int main(){}", "print(sum(map(int, input().split())))"]},
    "cf_rating": 800,
    "difficulty": 7,
    "time_limit": {"seconds": 1, "nanos": 0},
}
INPUT_OUTPUT = {
    "question": "Read two numbers and write their sum.",
    "input_output": json.dumps({"inputs": ["1 2\n"], "outputs": [["3", ""]]}),
    "difficulty": "interview",
    "solutions": '["print(sum(map(int, input().split())))"]',
    "starter_code": "",
}

ARC = {
    "id": "Made_1",
    "question": "Which of these is a planet?",
    "choices": {"text": ["the Sun", "Mars", "the Moon"], "label": ["1", "2", "3"]},
    "answerKey": "2",
}
ARC_ORIGINAL = {
    "id": "Made_2",
    "question": {
        "stem": "Which of these is a star?",
        "choices": [
            {"text": text, "label": label}
            for label, text in zip("ABCDE", ("the Sun", "Mars", "Venus", "Earth", "Pluto"), strict=True)
        ],
    },
    "answerKey": "A",
}

STRATEGYQA = {
    "qid": "made1",
    "term": "Snow",
    "description": "frozen water",
    "question": "Would snow melt in a sauna?",
    "answer": True,
    "facts": ["Snow melts above 0 °C.", "Saunas are hot."],
    "decomposition": ["How hot is a sauna?"],
    "evidence": [[["Snow-1"], "no_evidence"]],
}

NQ_OPEN = {"question": "who wrote hamlet", "answer": ["William Shakespeare", "Shakespeare"]}
EFFICIENTQA = {
    "question": "who wrote macbeth",
    "answer": ["Shakespeare"],
    "def_correct_predictions": ["the Bard"],
    "poss_correct_predictions": [],
    "def_incorrect_predictions": ["Marlowe"],
    "answer_and_def_correct_predictions": ["Shakespeare", "the Bard"],
}

AIME = {
    "problem": "What is 5 squared?",
    "solution": r"\boxed{025}",
    "answer": "025",
    "year": 1999,
    "aime_number": 1,
    "problem_number": 2,
    "difficulty": 2.5,
}
AMC = {"problem": "What is 12 squared?", "answer": 144.0, "url": "https://example.org/AMC_12A", "difficulty": -1.0}
MINERVA = {
    "problem": "How bright is it?",
    "solution": "See the tables.",
    "type": "Astronomy",
    "idx": 3,
    "answer": ["\\arcsin{10/13}\n", "50.3", "50.3\n"],
}
OLYMPIAD = {
    "id": 7,
    "subfield": "Algebra",
    "context": None,
    "solution": ["First.", "Second."],
    "is_multiple_answer": True,
    "unit": "km",
    "answer_type": "Numerical",
    "error": None,
    "problem": "Which numbers have this square?",
    "answer": [r"$-\frac{1}{2}$,$\frac{1}{2}$"],
}
MATH_RATED = {"problem": "How much is it?", "answer": r"\$42409", "difficulty": 3.0, "type": "Algebra"}
DEEPSCALER = {"problem": "What is two and two?", "answer": "4", "solution": "It is 4."}
AIME_CAPITALS = {"ID": "2024-I-1", "Problem": "What is two and three?", "Solution": "It is 5.", "Answer": 5}

WEATHER = {
    "name": "weather.get",
    "description": "The weather of a city.",
    "parameters": {
        "type": "dict",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"],
    },
}
BFCL = {
    "id": "simple_python_0",
    "question": [[{"role": "user", "content": "What will the weather be in Rome?"}]],
    "function": [WEATHER],
}
BFCL_ANSWER = {"id": "simple_python_0", "ground_truth": [{"weather.get": {"city": ["Rome", "Roma"], "days": [1, ""]}}]}
BFCL_IRRELEVANCE = {
    "id": "irrelevance_0",
    "question": [[{"role": "user", "content": "Who wrote Hamlet?"}]],
    "function": [WEATHER],
}
BFCL_MULTI_TURN = {
    "id": "multi_turn_base_0",
    "question": [
        [{"role": "user", "content": "Go to docs and list it."}],
        [{"role": "user", "content": "Now remove draft."}],
    ],
    "initial_config": {"GorillaFileSystem": {"root": {"docs": {"type": "directory"}}}},
    "path": ["GorillaFileSystem.cd"],
    "involved_classes": ["GorillaFileSystem"],
    "excluded_function": ["mv"],
}
BFCL_MULTI_TURN_ANSWER = {
    "id": "multi_turn_base_0",
    "ground_truth": [["cd('docs')", "ls(a=True)"], ["rm(file_name='draft')"]],
}
FILE_SYSTEM = [
    {"name": name, "description": name, "parameters": {"type": "dict", "properties": {argument: {"type": "string"}}}}
    for name, argument in (("cd", "folder"), ("ls", "a"), ("mv", "source"), ("rm", "file_name"))
]

ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": [GSM8K],
    "math": [MATH, MATH_WITH_ANSWER],
    "mbpp": [MBPP, MBPP_SANITIZED],
    "humaneval": [HUMANEVAL],
    "code_contests": [
        STDIN_LISTS,
        STDIN_PAIRS,
        FUNCTIONAL,
        NAMED_FUNCTION,
        LIVE_PAIRS,
        PUBLISHED_CONTEST,
        INPUT_OUTPUT,
    ],
    "arc": [ARC, ARC_ORIGINAL],
    "strategyqa": [STRATEGYQA],
    "nq_open": [NQ_OPEN, EFFICIENTQA],
    "deepscaler": [AIME, AMC, MINERVA, OLYMPIAD, MATH_RATED, DEEPSCALER, AIME_CAPITALS],
    "bfcl": [{**BFCL, "ground_truth": BFCL_ANSWER["ground_truth"]}, BFCL_IRRELEVANCE],
}
"""Dataset -> rows that can be converted on their own."""
