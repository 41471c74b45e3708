# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts of one machine: Linux network namespaces on a bridge, each with an address and a cable of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_HOST_FILES = Path("/etc/netns")
"""`ip netns exec NAME` shows the files below NAME/ here in place of those of /etc."""


@dataclass(frozen=True)
class NetworkHost:
    """One namespace.

    Attributes:
        name: Of the namespace.
        address: IPv4 address that the others reach it at.
        cable: Its end of the cable in this machine's own namespace.
    """

    name: str
    address: str
    cable: str

    @property
    def command(self) -> list[str]:
        """Words before a command that runs it on this host."""
        return ["ip", "netns", "exec", self.name]

    def unplug(self) -> None:
        """Cut the host off: nothing that it or the others send arrives, and nobody is told."""
        _ip("link", "set", self.cable, "down")


def no_network_hosts() -> str | None:
    """Why there can be none here; None where they can be made."""
    if shutil.which("ip") is None:
        return "no ip command (Debian's iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"gj{os.getpid()}t"
    for words in (["netns", "add", name], ["link", "add", name, "type", "bridge"]):
        tried = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        if tried.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            return f"ip {' '.join(words[:2])} is not allowed here: {tried.stderr.strip()}"
    _ip("link", "del", name)
    _ip("netns", "del", name)
    return None


@contextmanager
def network_hosts(count: int) -> Iterator[list[NetworkHost]]:
    """So many hosts that reach each other and nothing else."""
    own = f"gj{os.getpid()}"
    with ExitStack() as stack:
        bridge = f"{own}b"
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("link", "set", bridge, "up")
        yield [_host(stack, f"{own}h{index}", bridge, f"10.213.77.{index + 1}") for index in range(count)]


def _host(stack: ExitStack, name: str, bridge: str, address: str) -> NetworkHost:
    cable, inside = f"{name}c", f"{name}e"
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "del", name)
    # JAX's collectives connect to what a host's own name resolves to, which on this machine is the loopback.
    files = _HOST_FILES / name
    files.mkdir(parents=True)
    stack.callback(shutil.rmtree, files)
    (files / "hosts").write_text(f"127.0.0.1 localhost\n{address} {os.uname().nodename}\n")
    _ip("link", "add", cable, "type", "veth", "peer", "name", inside)
    # A namespace that is deleted drops its links some time later, when another host of that name may be there.
    stack.callback(_ip, "link", "del", cable)
    _ip("link", "set", inside, "netns", name)
    _ip("link", "set", cable, "master", bridge, "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", inside)
    _ip("-n", name, "link", "set", inside, "up")
    _ip("-n", name, "link", "set", "lo", "up")
    return NetworkHost(name, address, cable)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
