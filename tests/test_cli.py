# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: what it accepts, what it refuses and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from grpo_jax.checkpoint.disk_errors import DiskError
from grpo_jax.cli import main, parse_arguments
from grpo_jax.training import loop

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = str(ROOT / "configs" / "quickstart.py")
COMMANDS = ("train", "sample", "evaluate", "export", "prepare", "preview", "report", "doctor")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "c.py", "--resume", "never", "seed=1", "model=small"],
        ["train", "c.py", "seed=1", "--resume", "never", "model=small"],
        ["train", "c.py", "seed=1", "model=small", "--resume=never"],
        ["train", "--resume", "never", "c.py", "seed=1", "model=small"],
    ],
)
def test_overrides_may_stand_before_between_and_after_options(words):
    arguments = parse_arguments(words)
    assert arguments.config == "c.py"
    assert arguments.resume == "never"
    assert arguments.overrides == ["seed=1", "model=small"]


def test_option_value_with_an_equals_sign_is_no_override():
    arguments = parse_arguments(["sample", "c.py", "--prompt", "x=1", "seed=2"])
    assert arguments.prompt == "x=1"
    assert arguments.overrides == ["seed=2"]


def test_resume_is_auto_and_export_is_lossless_by_default():
    assert parse_arguments(["train", "c.py"]).resume == "auto"
    assert parse_arguments(["export", "run", "--output", "x"]).dtype == "float32"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["train"],
        ["train", "c.py", "--resum", "never"],
        ["sample", "c.py"],
        ["sample", "c.py", "--prompt", "x", "--n", "0"],
        ["export", "run"],
        ["export", "run", "--output", "x", "seed=1"],
        ["report"],
    ],
)
def test_wrong_usage_exits_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        (["train", QUICKSTART, "training.lerning_rate=1"], "training.learning_rate"),
        (["train", QUICKSTART, "training.learning_rate=fast"], "float"),
        (["train", QUICKSTART, "model=absent"], "smollm2_135m"),
        (["train", QUICKSTART, "nonsense"], "key=value"),
        (["train", "absent.py"], "absent.py"),
        (["report", "absent"], "absent"),
    ],
)
def test_user_mistake_is_one_line_on_stderr_and_exits_2(words, mentioned, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert mentioned in captured.err


def test_a_run_that_cannot_go_on_is_one_line_and_exits_1(capsys, monkeypatch):
    def no_room(config, resume):
        raise DiskError(f"{config.output_dir}: No space left on device")

    monkeypatch.setattr(loop, "train", no_room)
    assert main(["train", QUICKSTART, "output_dir=full"]) == 1
    assert capsys.readouterr().err == "error: full: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: grpo-jax {command}" in capsys.readouterr().out


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


def test_help_and_mistakes_load_no_jax():
    code = (
        "import sys\nfrom grpo_jax.cli import main\n"
        f"assert main(['train', {QUICKSTART!r}, 'sead=1']) == 2\nsys.exit('jax' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_module_and_console_script_are_the_same_command():
    finished = subprocess.run(
        [sys.executable, "-m", "grpo_jax", "train", "absent.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr == "error: absent.py: no such config file\n"


def test_doctor_names_python_jax_and_devices(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "python" in shown
    assert "jax " in shown
    assert "8 x cpu" in shown
