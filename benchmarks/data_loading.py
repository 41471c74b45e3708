# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""Time and memory of drawing batches from one large parquet file; prints a JSON object.

    python -m benchmarks.data_loading --rows 1000000

The file is written to a temporary folder first. What is measured runs in a process of its own, after its imports:
`start_seconds` from the config to a loader that is ready (every row checked, hashed and numbered), `first_batch` and
`batch` the drawing of a batch from a global shuffle, with the prompts' tokenisation and without, and the memory that
the process ever held (pages of the mapped file included) beside what its imports took. `cpu` is the processor's time,
which other work on the machine lengthens less than the clock's.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.process_memory import MEBIBYTE, process_memory

_ROWS_AT_ONCE = 50_000
_SENTENCES = (
    "A train leaves the station at {a} past noon and travels at {b} kilometres an hour for {c} hours. ",
    "Anna buys {b} boxes of {c} pencils each and gives {a} of them to her class. ",
    "Of the {a} seats in the hall {b} are taken, and every row has {c} of them. ",
)


class FreeTokenizer:
    """Stands for a tokenizer that takes no time."""

    vocab_size, pad_id, stop_ids = 4, 0, (1,)

    def encode(self, text: str) -> list[int]:
        """One id, whatever the text."""
        return [2]

    def encode_chat(self, messages: Sequence[Any]) -> list[int]:
        """One id, whatever the conversation."""
        return [2]

    def decode(self, token_ids: Sequence[int]) -> str:
        """No text."""
        return ""


class ByteTokenizer(FreeTokenizer):
    """A conversation's bytes as ids."""

    vocab_size = 258

    def encode_chat(self, messages: Sequence[Any]) -> list[int]:
        """Lines of `role: content`."""
        return list("\n".join(f"{message['role']}: {message['content']}" for message in messages).encode())


def write_parquet(path: Path, num_rows: int, rows_a_group: int) -> None:
    """Write rows of the problem schema with about 400 characters of prompt and 200 of solution each."""
    writer: pq.ParquetWriter | None = None
    for first in range(0, num_rows, _ROWS_AT_ONCE):
        rows = []
        for i in range(first, min(num_rows, first + _ROWS_AT_ONCE)):
            parts = [_SENTENCES[(i + k) % 3].format(a=(i * 7 + k) % 9973, b=i % 97 + k, c=i % 31 + 2) for k in range(5)]
            rows.append(
                {
                    "data_source": "benchmark",
                    "prompt": [{"role": "user", "content": f"Problem {i}. {''.join(parts)}How many are left?"}],
                    "ability": "math",
                    "reward_model": {"style": "rule", "ground_truth": str(i)},
                    "extra_info": {"split": "train", "index": i, "answer": parts[0] + parts[1] + f"#### {i}"},
                }
            )
        table = pa.Table.from_pylist(rows)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=rows_a_group)
    assert writer is not None
    writer.close()


def measure(path: str, batch_size: int, num_batches: int, tokenizer_name: str) -> dict[str, Any]:
    """Draw batches of the file, in this process."""
    from grpo_jax.config import DataConfig, Domain, RunConfig, TrainingConfig
    from grpo_jax.data.loader import ProblemLoader

    if tokenizer_name == "free":
        tokenizer: Any = FreeTokenizer()
    elif tokenizer_name == "bytes":
        tokenizer = ByteTokenizer()
    else:
        from grpo_jax.models.tokenizer import HuggingFaceTokenizer

        tokenizer = HuggingFaceTokenizer.from_folder(tokenizer_name)
    imported = process_memory()
    config = RunConfig(
        data=DataConfig(train_sources=(f"math::{path}",), prompts_per_step=batch_size, max_prompt_tokens=4096),
        domains={"math": Domain()},
        training=TrainingConfig(max_steps=num_batches + 1),
    )
    start, start_cpu = time.perf_counter(), time.process_time()
    loader = ProblemLoader(config, tokenizer)
    ready, ready_cpu = time.perf_counter(), time.process_time()
    next(loader)
    first = time.perf_counter()
    seconds, cpu_seconds = [], []
    for _ in range(num_batches):
        before, before_cpu = time.perf_counter(), time.process_time()
        next(loader)
        seconds.append(time.perf_counter() - before)
        cpu_seconds.append(time.process_time() - before_cpu)
    held = process_memory()
    return {
        "tokenizer": tokenizer_name,
        "start_seconds": round(ready - start, 2),
        "start_cpu_seconds": round(ready_cpu - start_cpu, 2),
        "first_batch_milliseconds": round((first - ready) * 1e3, 1),
        "batch_milliseconds_median": round(statistics.median(seconds) * 1e3, 1),
        "batch_milliseconds_least": round(min(seconds) * 1e3, 1),
        "batch_cpu_milliseconds_median": round(statistics.median(cpu_seconds) * 1e3, 1),
        "imports_mib": imported["VmRSS"] // MEBIBYTE,
        "peak_mib": held["VmHWM"] // MEBIBYTE,
        "peak_beyond_imports_mib": (held["VmHWM"] - imported["VmRSS"]) // MEBIBYTE,
        "end_anonymous_mib": held["RssAnon"] // MEBIBYTE,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file and measure in fresh processes, one a tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--rows-a-group", type=int, default=50_000)
    parser.add_argument("--tokenizer", action="append", help="free, bytes or a Hugging Face folder; may be repeated")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    tokenizers = asked.tokenizer or ["free", "bytes"]
    if asked.measure:
        print(json.dumps(measure(asked.measure, asked.batch, asked.batches, tokenizers[0])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write_parquet(path, asked.rows, asked.rows_a_group)
        runs = []
        for name in tokenizers:
            words = ["--measure", str(path), "--tokenizer", name]
            words += ["--batch", str(asked.batch), "--batches", str(asked.batches)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.data_loading", *words], stdout=subprocess.PIPE, text=True, check=True
            )
            runs.append(json.loads(done.stdout))
        size = path.stat().st_size
    report = {"rows": asked.rows, "batch": asked.batch, "parquet_mib": size // 2**20, "runs": runs}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
