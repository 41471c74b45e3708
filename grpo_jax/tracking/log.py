# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Where log lines go: the console, and with times a run's log.txt."""

import logging
import sys
from pathlib import Path
from typing import TextIO

LOGGER_NAME = "grpo_jax"


class _ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at that moment, so that lines appear above a live progress bar."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The current standard error."""
        return sys.stderr


def set_up_logging(
    log_path: Path | None = None, level: int = logging.INFO, console_level: int = logging.NOTSET
) -> None:
    """Send the package's log lines to the console, and to a file as well.

    Calling it again replaces what an earlier call set up; handlers of others stay.

    Args:
        log_path: File to append to; None logs to the console alone.
        level: Least level written.
        console_level: Least level shown on the console, where that is higher.
    """
    close_logging()
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(level)
    console = _ConsoleHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    console.setLevel(console_level)
    handlers: list[logging.Handler] = [console]
    if log_path is not None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log_path, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handlers.append(file)
    for handler in handlers:
        handler.set_name(LOGGER_NAME)
        logger.addHandler(handler)
    logger.propagate = False  # libraries give the root logger handlers of their own, which would repeat each line


def close_logging() -> None:
    """Undo `set_up_logging`."""
    logger = logging.getLogger(LOGGER_NAME)
    logger.propagate = True
    for handler in [handler for handler in logger.handlers if handler.get_name() == LOGGER_NAME]:
        logger.removeHandler(handler)
        handler.close()
