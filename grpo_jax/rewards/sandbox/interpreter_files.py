# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files that a bare Python needs: its executable, its standard library and the shared libraries of both.

Site packages are left out: what a solution may import is the standard library.
"""

import functools
import json
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

INSIDE = Path(__file__).parent / "inside"
PACKAGE_ROOT = Path(__file__).resolve().parents[3]
_LEFT_OUT = frozenset(("site-packages", "dist-packages", "test", "idlelib", "ensurepip", "lib2to3"))

_LIST_LIBRARIES = """
import ctypes, importlib, json, os, sysconfig
folder = os.path.join(sysconfig.get_path("platstdlib"), "lib-dynload")
for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
    if not name.startswith(("_test", "_tkinter", "xx", "_xx")) and ".so" in name:
        try:
            importlib.import_module(name.split(".")[0])
        except ImportError:
            pass
class Info(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("name", ctypes.c_char_p)]
found = []
visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
ctypes.CDLL(None).dl_iterate_phdr(visit(lambda info, size, data: found.append(info[0].name.decode()) or 0), None)
print(json.dumps([name for name in found if name.startswith("/")]))
"""
"""Names as the dynamic linker found them, which is where it will look again."""


@dataclass(frozen=True, slots=True)
class InterpreterFiles:
    """What must be readable inside.

    Attributes:
        executable: The Python of the installation itself, not a virtual environment's link to it.
        library: Folder of the standard library.
        contents: What of that folder is needed.
        left_out: Its folders that are not.
        shared: Shared libraries and the dynamic linker, outside that folder.
    """

    executable: Path
    library: Path
    contents: tuple[Path, ...]
    left_out: tuple[Path, ...]
    shared: tuple[Path, ...]


@functools.cache
def find_interpreter_files() -> InterpreterFiles:
    """Ask a fresh interpreter of this installation what it loads (about 0.3 s, once a process).

    Raises:
        OSError: The interpreter cannot be started.
        subprocess.CalledProcessError: It fails.
    """
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    command = [str(executable), "-I", "-S", "-c", _LIST_LIBRARIES]
    listed = subprocess.run(command, check=True, capture_output=True, env={}, timeout=60).stdout
    library = Path(sysconfig.get_path("stdlib"))
    entries = sorted(library.iterdir())
    # Distributions link some files (sitecustomize.py) to folders that are not mounted.
    own = [path for path in entries if path.resolve().is_relative_to(library.resolve())]
    contents = tuple(path for path in own if path.name not in _LEFT_OUT)
    left_out = tuple(path for path in entries if path.name in _LEFT_OUT and path.is_dir())
    shared = tuple(dict.fromkeys(Path(name) for name in json.loads(listed) if not Path(name).is_relative_to(library)))
    return InterpreterFiles(executable, library, contents, left_out, shared)
