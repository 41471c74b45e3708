# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Planning problems: a tree of PDDL domains and problems -> a folder that is itself a source.

    FOLDER/ferry.jsonl            rows {"prompt": ..., "meta": {"problem_file", "domain_file", "plan_file", "scenario"}}
    FOLDER/ferry/domain.pddl
    FOLDER/ferry/p1.pddl
    FOLDER/ferry/p1.soln          the reference plan, where the tree has one; else "plan_file" is null

Paths in the rows are relative to FOLDER. In the tree, a file is told to be a domain or a problem by what it defines. A
problem's domain is the one of that name in its own folder or the nearest folder above; its plan lies beside it or in a
folder `plans` beside its own, under the same name with the ending .soln or .plan. A scenario is called after the folder
of its domain.
"""

import re
import shutil
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from grpo_jax.data.files import write_rows
from grpo_jax.data.planning_problems.write import planning_prompt
from grpo_jax.data.preparation.report import LeftOut, PreparationReport
from grpo_jax.pddl.plan_text import read_plan_file
from grpo_jax.pddl.s_expressions import read_file
from grpo_jax.pddl.task import load_task
from grpo_jax.records import ConfigError

Key = TypeVar("Key", bound=Hashable)

_PLAN_ENDINGS = (".soln", ".plan")
_COMMENT = re.compile(r"[ \t]*;[^\n]*")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


@dataclass(frozen=True, slots=True)
class _Found:
    """A problem of the tree with what belongs to it."""

    problem: Path
    domain: Path
    domain_name: str
    plan: Path | None

    @property
    def scenario(self) -> tuple[Path, str]:
        return self.domain.parent, self.domain_name


def prepare_planning(tree: Path, folder: Path, skip_bad_rows: bool) -> PreparationReport:
    """Write the folder.

    Args:
        tree: Folder with domains and problems, or with folders of them.
        folder: Folder to write.
        skip_bad_rows: Leave problems that cannot be used out instead of refusing the tree.

    Returns:
        The counts; a row is a problem file.

    Raises:
        ConfigError: A path is wrong, a PDDL file is faulty or uses features that plans cannot be checked with, or
            there is no problem.
    """
    if not tree.is_dir():
        raise ConfigError(f"{tree}: no such folder; pddl wants a tree of domain and problem files")
    if folder.suffix in (".jsonl", ".parquet") or folder.is_file():
        raise ConfigError(f"{folder}: planning problems are written as a folder; name one without an ending")
    found, left_out = _find_problems(tree)
    if left_out and not skip_bad_rows:
        more = f" (and {len(left_out) - 1} more files)" if len(left_out) > 1 else ""
        raise ConfigError(f"{left_out[0].where}: {left_out[0].reason}{more}; --skip-bad-rows leaves such files out")
    if not found:
        raise ConfigError(f"{tree}: no .pddl file in this tree defines a problem that can be used")
    scenarios = _distinct_names(
        dict.fromkeys(one.scenario for one in found),
        lambda key: key[0].resolve().name,
        lambda key: "_".join(key[0].relative_to(tree).parts),
        lambda key: "_".join([*key[0].relative_to(tree).parts, key[1]]),
    )
    stale = sorted({file.name for file in folder.glob("*.jsonl")} - {f"{name}.jsonl" for name in scenarios.values()})
    if stale:
        raise ConfigError(f"{folder}: holds {stale[0]} of other problems; name an empty folder")
    for key, scenario in scenarios.items():
        members = [one for one in found if one.scenario == key]
        write_rows(folder / f"{scenario}.jsonl", _write_files(members, folder, scenario))
    return PreparationReport(len(found) + len(left_out), len(found), tuple(left_out))


def _find_problems(tree: Path) -> tuple[list[_Found], list[LeftOut]]:
    domains: dict[Path, str] = {}
    problems: dict[Path, str] = {}
    left_out = []
    for path in sorted(tree.rglob("*.pddl")):
        try:
            kind, name = _definition(path)
        except ConfigError as error:
            left_out.append(LeftOut.of(str(path), error))
        else:
            (domains if kind == "domain" else problems)[path] = name
    found = []
    for path, name in problems.items():
        try:
            domain = _domain_of(path, name, tree, domains)
            load_task(domain, path)
            plan = _plan_of(path)
            if plan is not None:
                read_plan_file(plan)
        except ConfigError as error:
            left_out.append(LeftOut.of(str(path), error))
        else:
            found.append(_Found(path, domain, name, plan))
    return found, left_out


def _definition(path: Path) -> tuple[str, str]:
    """("domain", its name) or ("problem", the name of its domain)."""
    match read_file(path):
        case ("define", ("domain", str(name)), *_):
            return "domain", name
        case ("define", ("problem", *_), *sections):
            named = next((part[1] for part in sections if len(part) == 2 and part[0] == ":domain"), None)
            if isinstance(named, str):
                return "problem", named
            raise ConfigError(f"{path}: the problem does not say its (:domain name)")
    raise ConfigError(f"{path}: defines neither a domain nor a problem")


def _domain_of(problem: Path, name: str, tree: Path, domains: Mapping[Path, str]) -> Path:
    folders = [folder for folder in problem.parents if folder == tree or tree in folder.parents]
    for folder in folders:
        fitting = [path for path, other in domains.items() if other == name and path.parent == folder]
        # Some competitions give every problem a domain file of its own, named after it.
        own = [path for path in fitting if problem.stem in path.stem]
        if len(own or fitting) == 1:
            return (own or fitting)[0]
        if fitting:
            raise ConfigError(f"{problem}: {len(fitting)} files in {folder} define its domain {name}; keep one")
    raise ConfigError(f"{problem}: no file in its folder or one above defines its domain {name}")


def _plan_of(problem: Path) -> Path | None:
    places = (problem.parent, problem.parent.parent / "plans")
    candidates = [place / f"{problem.stem}{ending}" for place in places for ending in _PLAN_ENDINGS]
    return next((path for path in candidates if path.is_file()), None)


def _write_files(members: Sequence[_Found], folder: Path, scenario: str) -> list[dict[str, Any]]:
    """Copy the PDDL files and plans of one scenario and return its rows."""
    (folder / scenario).mkdir(parents=True, exist_ok=True)
    files = dict.fromkeys(path for one in members for path in (one.domain, one.problem))
    top = members[0].domain.parent
    names = _distinct_names(files, lambda path: path.name, lambda path: "_".join(path.relative_to(top).parts))
    for path, name in names.items():
        shutil.copyfile(path, folder / scenario / name)
    rows = []
    for one in members:
        target = folder / scenario / names[one.problem]
        if one.plan is not None:
            shutil.copyfile(one.plan, target.with_suffix(".soln"))
        texts = [_without_comments(path.read_text(encoding="utf-8")) for path in (one.domain, one.problem)]
        meta = {
            "problem_file": f"{scenario}/{target.name}",
            "domain_file": f"{scenario}/{names[one.domain]}",
            "plan_file": f"{scenario}/{target.stem}.soln" if one.plan is not None else None,
            "scenario": scenario,
        }
        rows.append({"prompt": planning_prompt("", *texts), "meta": meta})
    return rows


def _distinct_names(keys: Mapping[Key, Any], *namings: Callable[[Key], str]) -> dict[Key, str]:
    """Names by the first naming that tells all keys apart; the last one does."""
    for naming in namings:
        names = {key: naming(key) for key in keys}
        if len(set(names.values())) == len(names):
            break
    return names


def _without_comments(text: str) -> str:
    """PDDL as it is, but for comments and blank lines, which only lengthen a prompt."""
    return _BLANK_LINES.sub("\n", _COMMENT.sub("", text.replace("\r\n", "\n"))).strip()
