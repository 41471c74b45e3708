# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that this process holds and its peak, as Linux tells of them."""

from pathlib import Path

MEBIBYTE = 2**20


def process_memory() -> dict[str, int]:
    """Bytes by the names of /proc/self/status, such as VmRSS, held now, and VmHWM, the peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = (line.split() for line in lines if line.startswith(("Vm", "Rss")))
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in fields}


def forget_peak() -> None:
    """Let the peak start again from what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
