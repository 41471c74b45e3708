# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where log lines go."""

import logging

from grpo_jax.tracking.log import close_logging, set_up_logging


def test_log_goes_to_the_file_with_times_and_to_the_console_without(tmp_path, capsys):
    path = tmp_path / "run" / "log.txt"
    root = logging.StreamHandler()  # as libraries add one
    logging.getLogger().addHandler(root)
    try:
        set_up_logging(path)
        set_up_logging(path)
        logging.getLogger("grpo_jax.data").info("7 rows left out")
    finally:
        close_logging()
        logging.getLogger().removeHandler(root)
    assert capsys.readouterr().err == "7 rows left out\n"
    (line,) = path.read_text().splitlines()
    assert line.endswith("INFO grpo_jax.data: 7 rows left out")
