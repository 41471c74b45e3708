# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The law of imports: they point to a lower level, and what must stay light imports no JAX."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LEVELS = {
    "records": 0,
    "config": 0,
    "checkpoint_config": 0,
    "data_config": 0,
    "parallel_config": 0,
    "curriculum_config": 0,
    "evaluation_config": 0,
    "logging_config": 0,
    "model_config": 0,
    "objective_config": 0,
    "replay_config": 0,
    "rewards_config": 0,
    "rollout_config": 0,
    "sampling_config": 0,
    "typed_values": 0,
    "overrides": 0,
    "pddl": 0,  # the planning language, which data generates and rewards judge
    "parallel": 1,
    "objective": 1,
    "data": 1,
    "rewards": 1,
    "tracking": 1,
    "models": 2,
    "sampling": 3,
    "checkpoint": 3,
    "rollout": 4,
    "evaluation": 5,
    "training": 6,
    "bench": 7,
    "cli": 7,
    "cli_bench": 7,
    "cli_doctor": 7,
    "cli_score": 7,
    "cli_plan": 7,
    "cli_prepare": 7,
    "cli_preview": 7,
    "cli_study": 7,
    "__main__": 7,
    "__init__": 7,  # the notebook's entry points, resolved on first use
}

FILES = sorted((ROOT / "grpo_jax").rglob("*.py"))

LIGHT_FOLDERS = ("rewards", "data", "pddl")
LOADS_GRAIN = {"grpo_jax.data.loader"}


def part_of(path: Path) -> str:
    """Name of the package or module directly below grpo_jax that a file belongs to."""
    parts = path.relative_to(ROOT / "grpo_jax").parts
    return parts[0] if len(parts) > 1 else path.stem


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules of this project that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full module path"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "grpo_jax"}


def test_every_part_has_a_level():
    assert {part_of(path) for path in FILES} <= set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = part_of(path)
    for name in imported_modules(path):
        other = name.split(".")[1] if "." in name else "__init__"
        if other not in LEVELS:
            other = "__init__"  # `from grpo_jax import train`: a name of the package itself
        beside = LEVELS[own] == LEVELS[other] and LEVELS[own] in (0, 7)  # within these, only cycles are forbidden
        assert other == own or beside or LEVELS[other] < LEVELS[own], f"{path} imports {name}"


def test_parts_of_the_lowest_level_have_no_cycles():
    edges: dict[str, set[str]] = {}
    for path in FILES:
        own = part_of(path)
        if LEVELS.get(own) == 0:
            others = {name.split(".")[1] for name in imported_modules(path) if name.count(".")}
            edges[own] = edges.get(own, set()) | others - {own}
    done: set[str] = set()
    while ready := {name for name, others in edges.items() if name not in done and others <= done}:
        done |= ready
    assert done == set(edges), f"cycle among {set(edges) - done}"


def test_sources_of_the_package_carry_the_licence():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not text or text.split("\n")[1] == "# SPDX-License-Identifier: Apache-2.0", path


def test_light_modules_load_no_jax():
    names = ["grpo_jax", "grpo_jax.records", "grpo_jax.config", "grpo_jax.overrides", "grpo_jax.cli"]
    for path in FILES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if part_of(path) in LIGHT_FOLDERS and path.stem != "__init__" and module not in LOADS_GRAIN:
            names.append(module)
    if importlib.util.find_spec("reasoning_gym") is None:
        names = [name for name in names if "reasoning_gym" not in name]
    code = f"import {', '.join(names)}\nimport sys\nsys.exit('jax' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr or "jax was imported"


def test_entry_points_of_the_package_resolve_on_first_use():
    code = (
        "import grpo_jax, sys\nassert 'grpo_jax.overrides' not in sys.modules\nprint(grpo_jax.load_config.__module__)"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "grpo_jax.overrides"


def test_unknown_name_of_the_package_is_an_attribute_error():
    import grpo_jax

    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = grpo_jax.trian
