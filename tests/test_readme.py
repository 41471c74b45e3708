# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""What the README says can be done: its commands parse, its configs resolve, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from grpo_jax.cli import parse_arguments
from grpo_jax.data.source_spec import parse_source
from grpo_jax.overrides import load_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`(grpo-jax [a-z]+ [^`]+)`", README)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.strip()]
COMMANDS = [*(line for line in LINES if line.startswith("grpo-jax ")), *INLINE]


def test_both_set_up_commands_are_on_the_first_screen():
    first = "\n".join(README.splitlines()[:20])
    assert "bash launch/quickstart.sh" in first
    assert "bash launch/test.sh" in first


@pytest.mark.parametrize("command", COMMANDS)
def test_command_parses_and_its_config_resolves(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = parse_arguments(shlex.split(command, comments=True)[1:])
    if arguments.takes_overrides:
        load_config(arguments.config, arguments.overrides)


def test_readme_shows_commands_worth_testing():
    assert {command.split()[1] for command in COMMANDS} >= {"train", "sample", "evaluate", "export", "report", "doctor"}


@pytest.mark.parametrize("script", sorted(set(re.findall(r"bash (launch/\S+)", README))))
def test_script_exists(script):
    assert (ROOT / script).is_file()


def test_links_and_named_files_exist():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    named = re.findall(r"`((?:grpo_jax|configs|launch)/[\w./]*)`", README)
    absent = [path for path in {*links, *named} if not (ROOT / path).exists()]
    assert absent == []


def test_python_block_names_what_exists():
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    compile(block, "README.md", "exec")
    assert "from grpo_jax import load_config, train" in block


@pytest.mark.parametrize("source", re.findall(r"^\| `([^`]+::[^`]+)` \|", README, re.MULTILINE))
def test_source_of_the_table_is_understood(source):
    assert parse_source(source).domain in ("math", "logic")
