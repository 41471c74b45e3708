# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Raw files of public datasets: which ones a path means, the split that their names tell, and their rows.

Read are .jsonl, .parquet and .json, each also gzipped but for parquet. A .json file may be a list of rows, a single row
(MATH is published as a file a problem), or JSON Lines under another name (as BFCL's are).
"""

import glob
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from grpo_jax.data.files import JsonlRows, open_file
from grpo_jax.data.rows import Row
from grpo_jax.records import ConfigError

_ENDINGS = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz")
_NOT_ROWS = frozenset(("dataset_info.json", "dataset_infos.json"))
_SPLITS = frozenset(("train", "test", "dev", "validation", "valid", "val"))


class RawRows(Protocol):
    """What conversion needs of a raw file; the sources' `Rows` are such too."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> Row:
        """One row as Python values."""
        ...

    def where(self, index: int) -> str:
        """The place of a row, for messages."""
        ...

    def name(self, index: int) -> str:
        """A short name of the row, stable over runs."""
        ...


class ParsedRows:
    """Rows that are in memory already.

    Args:
        path: Their file.
        rows: The rows; text is a line of JSON that is yet to be read.
        places: What tells each row in the file, such as its line.
    """

    def __init__(self, path: Path, rows: Sequence[object], places: Sequence[str]) -> None:
        self._path, self._rows, self._places = path, rows, places

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> Row:
        """One row."""
        row = self._rows[index]
        if isinstance(row, str):
            try:
                row = json.loads(row)
            except ValueError as error:
                raise ConfigError(f"{self.where(index)}: not valid JSON: {' '.join(str(error).split())}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{self.where(index)}: a row must be a JSON object, got {type(row).__name__}")
        return row

    def where(self, index: int) -> str:
        """Place of a row, for messages."""
        return f"{self._path}{self._places[index]}"

    def name(self, index: int) -> str:
        """Name of a row, stable over runs."""
        return f"{self._path}#{index}"


def find_raw_files(path: str | Path, left_out_folders: Sequence[str] = ()) -> list[Path]:
    """The raw files that a file, a folder (with all folders below) or a glob means, in sorted order.

    Args:
        path: What the user named.
        left_out_folders: Names of folders whose files hold no problems.

    Raises:
        ConfigError: There is none.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    found = [*root.rglob("*")] if root.is_dir() else [Path(name) for name in glob.glob(str(path), recursive=True)]
    files = [
        file
        for file in found
        if file.is_file()
        and file.name.endswith(_ENDINGS)
        and file.name not in _NOT_ROWS
        and not file.name.startswith(".")
        and not set(file.relative_to(root).parts[:-1] if root.is_dir() else ()) & set(left_out_folders)
    ]
    if not files:
        what = "the folder holds" if root.is_dir() else "there is"
        raise ConfigError(f"{path}: {what} no raw file that ends in {', '.join(_ENDINGS)}")
    return sorted(files, key=_in_reading_order)


def split_from_name(path: Path, root: Path) -> str | None:
    """The split that a word of the file's name tells, else the name of a folder up to `root`; None where none does."""
    words = re.split(r"[^a-z]+", path.name.lower())
    folders = [folder.name.lower() for folder in path.parents if folder == root or root in folder.parents]
    return next((word for word in (*reversed(words), *folders) if word in _SPLITS), None)


def open_raw_file(path: Path) -> RawRows:
    """Open a raw file by its ending.

    Raises:
        ConfigError: It is absent, unreadable or of another kind.
    """
    if path.name.endswith(".gz"):
        return _parsed(path, path.name.removesuffix(".gz"))
    return _parsed(path, path.name) if path.suffix == ".json" else open_file(str(path))


def _parsed(path: Path, name: str) -> RawRows:
    try:
        text = (gzip.decompress(path.read_bytes()) if name != path.name else path.read_bytes()).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if name.endswith(".json"):
        try:
            value = json.loads(text)
        except ValueError:
            if name == path.name:
                return JsonlRows(str(path))
        else:
            if not isinstance(value, list):
                return ParsedRows(path, [value], [":1"])
            return ParsedRows(path, value, [f" item {number}" for number in range(1, len(value) + 1)])
    # Not splitlines: a string of JSON may hold line separators of Unicode as they are.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    return ParsedRows(path, [line for _, line in lines], [f":{number}" for number, _ in lines])


def _in_reading_order(path: Path) -> tuple[tuple[int, str], ...]:
    """A key that puts 2.json before 10.json."""
    return tuple((int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", str(path)))
