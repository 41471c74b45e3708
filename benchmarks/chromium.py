# Copyright 2026 The grpo_jax authors
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium that opens a report, for the benchmark and the tests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grpo_jax.records import ConfigError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = (390, 844)
DESKTOP = (1280, 900)
_READY_SECONDS = 60


def missing_chromium() -> str:
    """What this host lacks for opening a page; empty where it lacks nothing."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install grpo-jax[test]"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium found: apt-get install chromium chromium-driver"
    return "" if shutil.which("chromedriver") else "no chromedriver found: apt-get install chromium-driver"


@contextmanager
def chromium() -> Iterator[Any]:
    """A Selenium driver of a headless Chromium that keeps the console's messages.

    Raises:
        ConfigError: The browser, its driver or Selenium is absent.
    """
    if reason := missing_chromium():
        raise ConfigError(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for word in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    options.add_argument("--no-sandbox")  # which root and many containers are refused; the page is our own
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, path: Path, size: tuple[int, int] = DESKTOP, dark: bool = False) -> float:
    """Open a report and wait until it is whole.

    Args:
        driver: Of `chromium`.
        path: The page.
        size: Width and height of the window in CSS pixels; narrow ones are a phone's.
        dark: Whether the browser prefers dark colours.

    Returns:
        Seconds from the start of the navigation to the last plot and the first completions.
    """
    from selenium.webdriver.support.ui import WebDriverWait

    screen = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(path.resolve().as_uri())
    script = "return document.body.dataset.ready || document.getElementById('failure').textContent"
    said = WebDriverWait(driver, _READY_SECONDS).until(lambda opened: opened.execute_script(script))
    if not said.isdecimal():
        raise RuntimeError(said)
    return int(said) / 1000
