# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The report: complete with what is there, silent about what is not, and closed to what a completion contains."""

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from grpo_jax.config import LoggingConfig
from grpo_jax.records import ConfigError
from grpo_jax.tracking.metrics import JsonlTracker
from grpo_jax.tracking.report import MAX_COMPLETIONS, write_report
from grpo_jax.tracking.run_folder import RunFolder
from grpo_jax.tracking.tracker import StepRecord

HOSTILE = '</script><script>alert(1)</script><!-- <b>bold</b> & "quoted" \u2028 å'


class Page(HTMLParser):
    """Collects the content of script elements and all addresses that the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.addresses, self.ids, self._inside = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


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
        line = json.dumps({"step": step, "text": text, **row}, ensure_ascii=False)
        (folder.completions / f"step-{step:06d}.jsonl").write_text(line + "\n", encoding="utf-8")
    return folder


FULL = [
    {
        "reward/mean": step / 10,
        "reward/math/mean": step / 9,
        "kl/mean": 0.1,
        "objective/entropy": 1.0,
        "length/math/mean": 7.0,
        "eval/math/pass@1": 0.5,
        "time/sampling_seconds": 2.0,
        "time/update_seconds": 1.0,
        "throughput/sampled_tokens_per_second": 100.0,
    }
    for step in range(4)
]


def plots_of(text):
    return re.findall(r"<figcaption>([^<]+)</figcaption>", text)


def test_every_group_of_metrics_has_its_plot(tmp_path):
    folder = make_run(tmp_path, "run", FULL)
    assert write_report([folder.path]) == folder.report
    text = folder.report.read_text(encoding="utf-8")
    assert plots_of(text) == [
        "Reward",
        "Evaluation",
        "KL to the reference",
        "Entropy",
        "Completion length",
        "Throughput",
        "Time by phase",
    ]


@pytest.mark.parametrize("metrics", [[], [{"reward/mean": 0.5}], [{"unheard/of": 1.0}, {"kl/math": 0.1}]])
def test_absent_metrics_are_absent_plots(tmp_path, metrics):
    folder = make_run(tmp_path, "run", metrics) if metrics else make_run(tmp_path, "run", [{}])
    write_report([folder.path])
    assert len(plots_of(folder.report.read_text(encoding="utf-8"))) <= 1


def test_plots_are_valid_svg_in_the_colour_of_the_text(tmp_path):
    folder = make_run(tmp_path, "run", FULL)
    write_report([folder.path])
    for svg in re.findall(r"<svg.*?</svg>", folder.report.read_text(encoding="utf-8"), re.DOTALL):
        root = ElementTree.fromstring(svg)
        assert root.get("viewBox")
        assert root.get("width") is None
        assert "currentColor" in svg


def test_page_needs_no_other_file_and_repeats_no_id(tmp_path):
    folder = make_run(tmp_path, "run", FULL, ["a"])
    write_report([folder.path])
    page = Page(folder.report.read_text(encoding="utf-8"))
    assert all(address.startswith("#") for address in page.addresses)
    assert {"rows", "search", "domain", "status", "list"} <= set(page.ids)
    named = [name for name in page.ids if not re.fullmatch(r"[mCp]?[0-9a-f]{8,}(_.*)?", name)]
    assert len(named) == len(set(named))


def test_hostile_completion_stays_text(tmp_path):
    folder = make_run(tmp_path, "run", FULL, [HOSTILE])
    write_report([folder.path])
    scripts = Page(folder.report.read_text(encoding="utf-8")).scripts
    assert len(scripts) == 2
    (row,) = json.loads(scripts[0])
    assert row["text"] == HOSTILE
    assert "innerHTML" not in re.sub(r"//.*", "", scripts[1])


def test_hostile_run_name_and_config_are_escaped(tmp_path):
    folder = make_run(tmp_path, "<b>&run", FULL)
    folder.write_config({"system_prompt": "<script>alert(1)</script>"})
    write_report([folder.path])
    text = folder.report.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;run" in text
    assert "<script>alert" not in text


def test_several_runs_share_the_plots_and_name_their_completions(tmp_path):
    first, second = (make_run(tmp_path, name, FULL, ["x"]) for name in ("one", "two"))
    assert write_report([first.path, second.path]) == first.report
    text = first.report.read_text(encoding="utf-8")
    assert "one: reward/mean" in text
    assert "two: reward/mean" in text
    assert [row["run"] for row in json.loads(Page(text).scripts[0])] == ["one", "two"]


def test_page_of_a_long_run_keeps_its_first_and_last_step_and_says_what_it_left_out(tmp_path):
    folder = make_run(tmp_path, "run", [{"reward/mean": 0.0}], [str(step) for step in range(MAX_COMPLETIONS + 100)])
    write_report([folder.path])
    text = folder.report.read_text(encoding="utf-8")
    rows = json.loads(Page(text).scripts[0])
    assert len(rows) <= MAX_COMPLETIONS
    assert (rows[0]["step"], rows[-1]["step"]) == (1, MAX_COMPLETIONS + 100)
    assert f"({MAX_COMPLETIONS + 100 - len(rows)} more" in text


def test_folder_that_is_no_run_is_named_with_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match="no such run folder"):
        write_report([tmp_path / "absent"])
    with pytest.raises(ConfigError, match=r"metrics\.jsonl"):
        write_report([tmp_path])
