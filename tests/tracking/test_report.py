# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The report: complete with what is there, silent about what is not, and closed to what a completion contains."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import pytest
from PIL import Image

from benchmarks.synthetic_run import write_synthetic_run
from grpo_jax.cli import main
from grpo_jax.config import LoggingConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import JsonlTracker
from grpo_jax.tracking.report import DRAFT_COMPLETIONS, write_report
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.tracker import StepRecord

HOSTILE = '</script><script>alert(1)</script><!-- <b>bold</b> & "quoted" \u2028 å \ud800 \x00 \x1b[31mred \u202eevil'


class Page(HTMLParser):
    """Collects the content of script elements by id, and all addresses that the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.ids, self._inside = {}, [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._inside = attributes.get("id", "") if tag == "script" else None
        if self._inside is not None:
            self.scripts[self._inside] = ""
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside is not None:
            self.scripts[self._inside] += data

    def data(self, name):
        return json.loads(zlib.decompress(base64.b64decode(self.scripts[name])))


def make_run(tmp_path, name, metrics, texts=()):
    folder = RunFolder(tmp_path, name)
    folder.create()
    writer = JsonlTracker(folder, LoggingConfig(), {})
    for step, row in enumerate(metrics, start=1):
        writer.write(StepRecord(step, row))
    writer.close()
    row = {
        "problem_id": "p",
        "domain": "math",
        "prompt": "q",
        "ground_truth": "2",
        "status": "pass",
        "reason": "",
        "total": 1.0,
        "parts": {},
        "advantage": 0.0,
        "completion_tokens": 1,
        "finish_reason": "stop",
    }
    for step, text in enumerate(texts, start=1):
        line = json.dumps({"step": step, "text": text, **row})
        (folder.completions / f"step-{step:06d}.jsonl").write_text(line + "\n", encoding="utf-8")
    return folder


FULL = [
    {
        "reward/mean": step / 10,
        "reward/math/mean": step / 9,
        "kl/mean": 0.1,
        "objective/entropy": 1.0,
        "length/math/mean": 7.0,
        "eval/math/pass@1": 0.5 - 0.1 * step,
        "time/sampling_seconds": 2.0,
        "time/update_seconds": 1.0,
        "throughput/sampled_tokens_per_second": 100.0,
    }
    for step in range(4)
]


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def test_every_group_of_metrics_has_its_plot_and_its_picture(tmp_path):
    folder = make_run(tmp_path, "run", FULL)
    assert write_report([folder.path]) == folder.report
    data = read(folder.report).data("charts")
    titles = [chart["title"] for chart in data["charts"]]
    assert titles == [
        "Reward",
        "Evaluation",
        "KL to the reference",
        "Entropy",
        "Completion length",
        "Throughput",
        "Time by phase",
    ]
    assert [heat["title"] for heat in data["heats"]] == ["Forgetting of run"]
    keys = {one["key"] for one in [*data["charts"], *data["heats"]]}
    assert {path.stem for path in folder.plots.iterdir()} == keys
    for path in folder.plots.iterdir():
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert len(picture.convert("L").getcolors()) > 2, path  # more than a blank sheet


@pytest.mark.parametrize("metrics", [[{}], [{"reward/mean": 0.5}], [{"unheard/of": 1.0}, {"kl/math": 0.1}]])
def test_absent_metrics_are_absent_plots(tmp_path, metrics):
    folder = make_run(tmp_path, "run", metrics)
    write_report([folder.path])
    assert len(read(folder.report).data("charts")["charts"]) <= 1


def test_page_needs_no_other_file_and_repeats_no_id(tmp_path):
    folder = make_run(tmp_path, "run", FULL, ["a"])
    write_report([folder.path])
    page = read(folder.report)
    assert page.addresses == ["data:,"]
    assert {"charts", "completions", "search", "view", "domain", "status", "list"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "default-src 'none'" in folder.report.read_text(encoding="utf-8")


def test_hostile_completion_stays_text(tmp_path):
    folder = make_run(tmp_path, "run", FULL, [HOSTILE])
    write_report([folder.path])
    page = read(folder.report)
    assert set(page.scripts) == {"charts", "completions", ""}
    assert page.data("completions")["text"] == [HOSTILE]
    code = re.sub(r"//.*", "", page.scripts[""])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", code)


def test_hostile_names_are_escaped_and_drawn(tmp_path):
    folder = make_run(tmp_path, "<b>&$run", [{"reward/$x^<i>/mean": 0.5, "reward/_y/mean": 0.1}] * 2)
    folder.write_config({"system_prompt": "<script>alert(1)</script>"})
    write_report([folder.path])
    text = folder.report.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;$run" in text
    assert "<script>alert" not in text
    assert [one["name"] for one in read(folder.report).data("charts")["charts"][0]["series"]] == ["$x^<i>", "_y"]


def test_several_runs_share_the_plots_and_name_their_completions(tmp_path):
    first, second = (make_run(tmp_path, name, FULL, ["x"]) for name in ("one", "two"))
    output = tmp_path / "both" / "page.html"
    assert main(["report", str(first.path), str(second.path), "--output", str(output)]) == 0
    page = read(output)
    reward = page.data("charts")["charts"][0]
    assert [series["name"] for series in reward["series"]] == ["one: all", "one: math", "two: all", "two: math"]
    assert [series["dash"] for series in reward["series"]] == [0, 0, 1, 1]
    assert [series["colour"] for series in reward["series"]] == [0, 1, 0, 1]
    assert page.data("completions")["tables"]["run"] == ["one", "two"]
    assert (output.parent / "plots" / "reward.png").is_file()
    assert not first.report.exists()


def test_draft_of_a_going_run_shows_fewer_completions_and_draws_no_pictures(tmp_path):
    count = DRAFT_COMPLETIONS + 100
    folder = make_run(tmp_path, "run", [{"reward/mean": 0.0}], [str(step) for step in range(count)])
    write_report([folder.path], draft=True)
    steps = read(folder.report).data("completions")["step"]
    assert len(steps) <= DRAFT_COMPLETIONS
    assert (steps[0], steps[-1]) == (1, count)
    assert f"{count - len(steps)} more are in" in folder.report.read_text(encoding="utf-8")
    assert not folder.plots.exists()
    write_report([folder.path])
    assert len(read(folder.report).data("completions")["step"]) == count


def test_phases_are_named_by_the_config(tmp_path):
    path = write_synthetic_run(tmp_path, "run", steps=40, completions=20, words=5)
    write_report([path], draft=True)
    spans = read(path / "report.html").data("charts")["phases"]
    assert spans == [[1.0, 9.0, "format"], [10.0, 29.0, "accuracy"], [30.0, 40.0, "polish"]]


def test_warnings_of_the_run_are_on_its_page_by_the_runs_own_settings(tmp_path):
    folder = make_run(tmp_path, "run", [{"reward/mean": 0.5, "kl/mean": 1.0}] * 10)
    write_report([folder.path], draft=True)
    assert "step 5: the KL to the reference" in folder.report.read_text(encoding="utf-8")
    folder.write_config({"logging": {"warnings": {"max_kl": 2.0}}})
    write_report([folder.path], draft=True)
    assert 'class="warnings"' not in folder.report.read_text(encoding="utf-8")


def test_matrix_of_a_study_is_shown_with_its_drops(tmp_path):
    folder = make_run(tmp_path, "run", FULL)
    matrix = {"domains": ["a", "b"], "start": [0.1, 0.2], "scores": [[0.8, 0.2], [0.5, 0.7]], "average_forgetting": 0.3}
    (tmp_path / "forgetting_matrix.json").write_text(json.dumps(matrix))
    write_report([folder.path])
    heat = read(folder.report).data("charts")["heats"][1]
    assert (heat["rows"], heat["columns"]) == (["start", "after a", "after b"], ["a", "b"])
    assert heat["values"] == [[0.1, 0.2], [0.8, 0.2], [0.5, 0.7]]
    assert heat["drops"][2] == pytest.approx([0.3, 0.0])
    assert "average forgetting +0.300" in heat["note"]
    (tmp_path / "forgetting_matrix.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"forgetting_matrix\.json: no forgetting matrix"):
        write_report([folder.path])


def test_folder_that_is_no_run_is_named_with_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match="no such run folder"):
        write_report([tmp_path / "absent"])
    with pytest.raises(ConfigError, match=r"metrics\.jsonl"):
        write_report([tmp_path])
