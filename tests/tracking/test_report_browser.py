# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real headless Chromium: opens without a complaint, filters, scrolls, fits a phone, reads at night."""

import json
import os

import pytest

from benchmarks.chromium import DESKTOP, PHONE, chromium, missing_chromium, open_page
from benchmarks.synthetic_run import GROUP_SIZE, write_synthetic_run
from grpo_jax.tracking.report import write_report

STEPS, COMPLETIONS = 400, 10_000
HOSTILE = '</script><script>owned = 1</script><img src=x onerror="owned=1">\x00\x1b[31m\u202egnp.exe \ud800'

CONTRAST = """
const luminance = (colour) => {
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = colour.map((part) => linear(part / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const paper = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const found = numbers(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0.99) return found.slice(0, 3);
  }
  return [255, 255, 255];
};
const worst = [99, ""];
for (const element of document.querySelectorAll("body *")) {
  const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!text || !element.getClientRects().length || element.closest("script, style")) continue;
  const style = getComputedStyle(element), ink = element instanceof SVGElement ? style.fill : style.color;
  const a = luminance(numbers(ink).slice(0, 3)), b = luminance(paper(element));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < worst[0]) { worst[0] = ratio; worst[1] = `${element.tagName} ${element.textContent.slice(0, 40)}`; }
}
return worst;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = write_synthetic_run(tmp_path_factory.mktemp("runs"), "run", steps=STEPS, completions=COMPLETIONS, words=40)
    last = sorted((run / "completions").iterdir())[-1]
    lines = last.read_text().splitlines()
    row = {**json.loads(lines[0]), "text": HOSTILE, "prompt": HOSTILE, "problem_id": "hostile", "status": "invalid"}
    last.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    return write_report([run])


@pytest.fixture(scope="module")
def driver():
    if reason := missing_chromium():
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with chromium() as opened:
        yield opened


@pytest.fixture
def opened(driver, page):
    open_page(driver, page)
    yield driver
    assert driver.get_log("browser") == []


def count(driver):
    return int(driver.find_element("id", "count").text.split(" of ")[0].replace(",", ""))


def choose(driver, name, value):
    found = "const found = document.getElementById(arguments[0]); found.value = arguments[1];"
    driver.execute_script(found + "found.dispatchEvent(new Event('input'));", name, value)


def option(driver, name, text):
    options = driver.find_elements("css selector", f"#{name} option")
    return next(one.get_attribute("value") for one in options if text in one.get_attribute("textContent"))


def shown(driver):
    return [row.text for row in driver.find_elements("css selector", "#list .row")]


def test_it_opens_whole_and_without_a_complaint(opened):
    plots = opened.execute_script(
        "return [...document.querySelectorAll('figure')]"
        ".map((figure) => [figure.id, figure.querySelectorAll('polyline, path').length])"
    )
    wanted = {"plot-reward", "plot-time-by-phase", "plot-domain-mix", "plot-difficulty-of-math"}
    assert wanted <= {name for name, _ in plots}
    assert all(drawn for _, drawn in plots)
    shades = opened.execute_script("return document.querySelectorAll('#plot-reward rect.phase').length")
    assert shades == 3
    assert count(opened) == COMPLETIONS


def test_ten_thousand_rows_are_a_few_dozen_elements_wherever_one_scrolls(opened):
    down = "const list = document.getElementById('list'); list.scrollTop = list.scrollHeight;"
    assert 5 < len(shown(opened)) < 60
    opened.execute_script(down + "list.dispatchEvent(new Event('scroll'));")
    assert 5 < len(shown(opened)) < 60
    opened.find_elements("css selector", "#list .row")[-1].click()
    assert opened.find_element("id", "previous").is_enabled()
    assert not opened.find_element("id", "next").is_enabled()


def test_filters_and_search_narrow_and_widen(opened):
    by_domain = []
    for domain in ("code", "logic", "math", "planning"):
        choose(opened, "domain", option(opened, "domain", domain))
        by_domain.append(count(opened))
        assert all(f"  {domain}  " in row or f" {domain} " in row for row in shown(opened))
    assert sum(by_domain) == COMPLETIONS
    choose(opened, "status", option(opened, "status", "pass"))
    passed = count(opened)
    assert 0 < passed < by_domain[-1]
    choose(opened, "status", "")
    choose(opened, "domain", "")
    choose(opened, "search", "HOSTILE")
    assert count(opened) == 1
    choose(opened, "search", "no such text anywhere")
    assert count(opened) == 0
    choose(opened, "search", "")
    choose(opened, "step", option(opened, "step", f"step {STEPS}"))
    assert 0 < count(opened) < COMPLETIONS
    choose(opened, "step", "")
    assert count(opened) == COMPLETIONS


def rewards(driver):
    return [float(row.split("reward ")[1].split()[0]) for row in shown(driver)]


def test_best_worst_and_timed_out_come_first(opened):
    choose(opened, "view", "best")
    best = rewards(opened)
    assert best == sorted(best, reverse=True)
    choose(opened, "view", "worst")
    worst = rewards(opened)
    assert worst == sorted(worst)
    assert best[0] > worst[0]
    choose(opened, "view", "timeout")
    assert 0 < count(opened) < COMPLETIONS
    assert all(row.startswith("timeout") for row in shown(opened))


def test_groups_that_disagree_most_come_first_and_together(opened):
    choose(opened, "view", "disagreeing")
    group = rewards(opened)[:GROUP_SIZE]
    assert group == sorted(group, reverse=True)
    assert group[0] - group[-1] > 1  # a right answer and a wrong one, with their parts for the format


def test_hostile_completion_is_shown_as_what_it_is(opened):
    choose(opened, "search", "</script><script>owned")
    assert count(opened) == 1
    opened.find_element("css selector", "#list .row").click()
    text = opened.find_elements("css selector", "#body pre")[1].text
    assert '</script><script>owned = 1</script><img src=x onerror="owned=1">' in text
    assert "␀␛[31m⟨U+202E⟩gnp.exe ⟨U+D800⟩" in text
    assert opened.execute_script("return window.owned") is None
    facts = opened.find_element("css selector", "#body table").text
    assert "problem hostile" in facts
    assert "part correct" in facts
    assert "advantage" in facts


def test_legend_hides_a_curve_and_a_pointer_reads_values(opened):
    curves = "return document.querySelectorAll('#plot-reward polyline').length"
    before = opened.execute_script(curves)
    button = opened.find_element("css selector", "#plot-reward .legend button")
    button.click()
    assert opened.execute_script(curves) == before - 1
    assert button.get_attribute("aria-pressed") == "false"
    opened.execute_script(
        "const box = document.querySelector('#plot-reward svg'), at = box.getBoundingClientRect();"
        "box.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: at.left + at.width / 2}));"
    )
    tip = opened.find_element("css selector", "#plot-reward .tip").text.splitlines()
    assert tip[0].startswith("step ")
    assert [line.split()[0] for line in tip[1:]] == ["code", "logic", "math", "planning"]
    assert 0 <= float(tip[1].split()[1]) <= 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_the_screen_and_every_text_can_be_read(driver, page, size, dark):
    open_page(driver, page, size, dark)
    assert driver.execute_script("return document.documentElement.scrollWidth") == size[0]
    ratio, where = driver.execute_script(CONTRAST)
    assert ratio >= 4.5, where  # WCAG AA
    smallest = driver.execute_script(
        "return Math.min(...[...document.querySelectorAll('body *')]"
        ".map((element) => parseFloat(getComputedStyle(element).fontSize)))"
    )
    assert smallest >= 11
    driver.find_element("css selector", "#list .row").click()
    box = driver.find_element("id", "detail").rect
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    ratio, where = driver.execute_script(CONTRAST)
    assert ratio >= 4.5, where
    paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    assert driver.get_log("browser") == []
