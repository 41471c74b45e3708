# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A file system in memory, with the functions that the leaderboard's `gorilla_file_system` describes."""

import copy
import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from grpo_jax.rollout.environments.services.service import CallError

_MAX_ENTRIES = 10_000
_MAX_LINES = 1_000

Folder = dict[str, "Folder | str"]
"""Name -> folder, or the text of a file."""


class FileSystem:
    """One tree, and where in it the user stands."""

    def __init__(self, config: Mapping[str, Any]):
        """Take the initial configuration: {"root": {NAME: {"type": "directory", "contents": {...}}}}."""
        described = config.get("root") or {}
        self._name, top = next(iter(described.items()), ("root", {"contents": {}}))
        self._root: Folder = _folder(top.get("contents") or {})
        self._path: list[str] = []

    def state(self) -> tuple[Folder, list[str]]:
        """The tree and where the user stands."""
        return self._root, self._path

    def pwd(self) -> dict[str, str]:
        """Where the user stands."""
        return {"current_working_directory": "/" + "/".join([self._name, *self._path])}

    def ls(self, a: bool = False) -> dict[str, list[str]]:
        """Names in the current folder, hidden ones only where asked for."""
        return {"current_directory_content": [name for name in self._here() if a or not name.startswith(".")]}

    def cd(self, folder: str) -> dict[str, str]:
        """Go one level down, or up by `..`."""
        if folder == "..":
            if not self._path:
                raise CallError("cd: already at the top")
            self._path = self._path[:-1]
        elif folder in ("/", "~"):
            self._path = []
        elif folder != ".":
            if not isinstance(self._here().get(folder), dict):
                raise CallError(f"cd: {folder}: No such directory")
            self._path = [*self._path, folder]
        return {"current_working_directory": self._path[-1] if self._path else self._name}

    def mkdir(self, dir_name: str) -> None:
        """Make a folder."""
        self._new(dir_name, "mkdir", {})

    def touch(self, file_name: str) -> None:
        """Make an empty file."""
        self._new(file_name, "touch", "")

    def echo(self, content: str, file_name: str | None = None) -> dict[str, str | None]:
        """Show text, or write it to a file in place of what is there."""
        if not isinstance(content, str):
            raise CallError("echo: content must be text")
        if file_name in (None, "None"):
            return {"terminal_output": content}
        if isinstance(self._here().get(file_name), dict):
            raise CallError(f"echo: {file_name}: Is a directory")
        self._here()[_plain(file_name, "echo")] = content
        return {"terminal_output": None}

    def cat(self, file_name: str) -> dict[str, str]:
        """A file's text."""
        return {"file_content": self._file(file_name, "cat")}

    def tail(self, file_name: str, lines: int = 10) -> dict[str, str]:
        """A file's last lines."""
        found = self._file(file_name, "tail").splitlines()
        return {"last_lines": "\n".join(found[max(len(found) - int(lines), 0) :])}

    def sort(self, file_name: str) -> dict[str, str]:
        """A file's lines in order; the file stays as it is."""
        return {"sorted_content": "\n".join(sorted(self._file(file_name, "sort").splitlines()))}

    def grep(self, file_name: str, pattern: str) -> dict[str, list[str]]:
        """A file's lines that hold a text."""
        return {"matching_lines": [line for line in self._file(file_name, "grep").splitlines() if pattern in line]}

    def wc(self, file_name: str, mode: str = "l") -> dict[str, Any]:
        """How many lines (l), words (w) or characters (c) a file has."""
        text = self._file(file_name, "wc")
        counts = {"l": ("lines", text.splitlines()), "w": ("words", text.split()), "c": ("characters", text)}
        if mode not in counts:
            raise CallError(f"wc: {mode}: invalid mode, use l, w or c")
        return {"count": len(counts[mode][1]), "type": counts[mode][0]}

    def diff(self, file_name1: str, file_name2: str) -> dict[str, str]:
        """Lines in which two files differ, with - and + before them."""
        first, second = (self._file(name, "diff").splitlines() for name in (file_name1, file_name2))
        if max(len(first), len(second)) > _MAX_LINES:
            raise CallError(f"diff: a file of more than {_MAX_LINES} lines")
        # Unlike `ndiff`, which looks for similar lines too, it takes no cubic time.
        _, _, *lines = difflib.unified_diff(first, second, n=0, lineterm="") if first != second else ("", "")
        return {"diff_lines": "\n".join(f"{line[0]} {line[1:]}" for line in lines if line[0] in "-+")}

    def du(self, human_readable: bool = False) -> dict[str, str]:
        """Bytes of text in the current folder and below."""
        size = sum(len(text.encode()) for _, text in _walk(self._here(), "") if isinstance(text, str))
        if not human_readable:
            return {"disk_usage": f"{size} bytes"}
        for unit in ("B", "KB", "MB"):
            if size < 1024 or unit == "MB":
                break
            size /= 1024
        return {"disk_usage": f"{size:.2f} {unit}"}

    def find(self, path: str = ".", name: str | None = None) -> dict[str, list[str]]:
        """Paths below a folder whose last part holds a text; all of them without one."""
        start = self._here()
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            below = start.get(part)
            if not isinstance(below, dict):
                raise CallError(f"find: {path}: No such directory")
            start = below
        wanted = "" if name in (None, "None") else name
        return {"matches": [own for own, _ in _walk(start, path) if wanted in own.rpartition("/")[2]]}

    def rm(self, file_name: str) -> dict[str, str]:
        """Remove a file or folder."""
        del self._here()[self._there(file_name, "rm")]
        return {"result": f"'{file_name}' removed"}

    def rmdir(self, dir_name: str) -> dict[str, str]:
        """Remove an empty folder."""
        folder = self._here().get(dir_name)
        if not isinstance(folder, dict):
            raise CallError(f"rmdir: {dir_name}: No such directory")
        if folder:
            raise CallError(f"rmdir: {dir_name}: Directory not empty")
        del self._here()[dir_name]
        return {"result": f"'{dir_name}' removed"}

    def cp(self, source: str, destination: str) -> dict[str, str]:
        """Copy a file or folder into a folder, or under another name."""
        own = self._here()[self._there(source, "cp")]
        # Copies of copies grow without end.
        if _num_entries(self._root) + _num_entries(own) > _MAX_ENTRIES:
            raise CallError(f"cp: {destination}: No space left on device")
        self._place(source, destination, "cp", copy.deepcopy(own))
        return {"result": f"'{source}' copied to '{destination}'"}

    def mv(self, source: str, destination: str) -> dict[str, str]:
        """Move a file or folder into a folder, or rename it."""
        own = self._here()[self._there(source, "mv")]
        if own is self._here().get(destination):
            raise CallError(f"mv: cannot move {source} into itself")
        self._place(source, destination, "mv", own)
        del self._here()[source]
        return {"result": f"'{source}' moved to '{destination}'"}

    def _place(self, source: str, destination: str, command: str, own: "Folder | str") -> None:
        target = self._here().get(_plain(destination, command))
        folder, name = (target, source) if isinstance(target, dict) else (self._here(), destination)
        if name in folder:
            raise CallError(f"{command}: {name}: File exists")
        folder[name] = own

    def _here(self) -> Folder:
        folder = self._root
        for name in self._path:
            below = folder[name]
            assert isinstance(below, dict)
            folder = below
        return folder

    def _there(self, name: str, command: str) -> str:
        if name not in self._here():
            raise CallError(f"{command}: {name}: No such file or directory")
        return name

    def _file(self, name: str, command: str) -> str:
        found = self._here()[self._there(name, command)]
        if not isinstance(found, str):
            raise CallError(f"{command}: {name}: Is a directory")
        return found

    def _new(self, name: str, command: str, own: "Folder | str") -> None:
        if name in self._here():
            raise CallError(f"{command}: {name}: File exists")
        self._here()[_plain(name, command)] = own


def _folder(described: Mapping[str, Any]) -> Folder:
    return {
        name: _folder(own.get("contents") or {}) if own.get("type") == "directory" else str(own.get("content") or "")
        for name, own in described.items()
    }


def _walk(folder: Folder, path: str) -> "Iterator[tuple[str, Folder | str]]":
    for name, own in folder.items():
        here = f"{path}/{name}" if path else name
        yield here, own
        if isinstance(own, dict):
            yield from _walk(own, here)


def _num_entries(own: "Folder | str") -> int:
    return 1 if isinstance(own, str) else 1 + sum(1 for _ in _walk(own, ""))


def _plain(name: str, command: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise CallError(f"{command}: {name}: names only, no paths")
    return name
