# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The notice that a Google Cloud host is about to be taken away, read from its metadata server by a thread.

https://cloud.google.com/compute/docs/metadata/getting-live-migration-notice: `maintenance-event` turns to
TERMINATE_ON_HOST_MAINTENANCE on hosts that cannot be moved alive, as those with TPUs and GPUs; `preempted` turns to
TRUE on preemptible and spot hosts. A move of a living host is no reason to stop.
"""

import logging
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

logger = logging.getLogger(__name__)

ADDRESS_VARIABLE = "GCE_METADATA_HOST"
"""Environment variable that Google's own libraries read the server's address from."""

_DEFAULT_ADDRESS = "metadata.google.internal"
_ENDS = {"instance/maintenance-event": "TERMINATE_ON_HOST_MAINTENANCE", "instance/preempted": "TRUE"}
_POLL_SECONDS = 5.0
_TIMEOUT_SECONDS = 3.0


def metadata_address(platform: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Where the metadata server is, HOST or HOST:PORT; None where there is none to ask.

    Args:
        platform: Of JAX's devices. A TPU's host is in Google Cloud and has one; any other has where GCE_METADATA_HOST
            says so.
        environment: Of this process.
    """
    return environment.get(ADDRESS_VARIABLE) or (_DEFAULT_ADDRESS if platform == "tpu" else None)


@contextmanager
def maintenance_notices(
    address: str | None, notify: Callable[[str], None], poll_seconds: float = _POLL_SECONDS
) -> Iterator[None]:
    """Watch the server for as long as the block lasts.

    Args:
        address: As `metadata_address` gives it; None watches nothing.
        notify: Called once, in the thread, with what the notice says.
        poll_seconds: Time between two looks.
    """
    if address is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(address, notify, poll_seconds, over), name="maintenance", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2 * _TIMEOUT_SECONDS)


def _watch(address: str, notify: Callable[[str], None], poll_seconds: float, over: threading.Event) -> None:
    silent = False
    while not over.is_set():
        for path, ending in _ENDS.items():
            try:
                found = _read(address, path)
            except OSError as error:
                if not silent:
                    logger.warning("the metadata server at %s does not answer (%s); still trying", address, error)
                silent = True
                break
            silent = False
            if found == ending:
                notify(f"the notice {path.rpartition('/')[2]}={found}")
                return
        over.wait(poll_seconds)


def _read(address: str, path: str) -> str:
    """One value; an error of HTTP other than a missing value is an OSError as well."""
    request = urllib.request.Request(
        f"http://{address}/computeMetadata/v1/{path}", headers={"Metadata-Flavor": "Google"}
    )
    # Google's server is a neighbour; a proxy would answer for another host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        if error.code == 404:  # not a host of the kind that has this value
            return ""
        raise
