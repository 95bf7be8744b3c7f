"""Lessons in a real JupyterLab in a real browser: all cells run, and every control of every explorer does something.

A lesson with an explorer is found by itself: a new one needs nothing here.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect, sync_playwright

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WITH_EXPLORER = [path for path in LESSONS if "explorers." in path.read_text(encoding="utf-8")]
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = [
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"  # the kernel is there and waits
SETTINGS = {
    # every cell is in the page, not only those in view
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a JupyterLab on a copy of the lessons, so that nothing is written into the originals."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name)
    settings = folder / "settings"
    settings.mkdir()
    (settings / "overrides.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--LabApp.app_settings_dir={settings}"]
    command += [f"--LabApp.workspaces_dir={folder / 'workspaces'}"]
    command += ["--IdentityProvider.token=test", *(["--allow-root"] if os.getuid() == 0 else [])]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/api?token=test", process, folder / "log")
            yield address
        finally:
            process.terminate()
            process.wait(20)


def wait_for(url, process, log, seconds=60):
    for _ in range(seconds * 5):
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.URLError:
            assert process.poll() is None, f"JupyterLab ended:\n{log.read_text(encoding='utf-8')}"
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not answer within {seconds} s:\n{log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as play:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        try:
            browser = play.chromium.launch(executable_path=found, args=OPTIONS)
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no browser: type '.venv/bin/playwright install chromium' ({error.message.splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1250, "height": 1000})
    yield page
    page.close()


def open_lesson(page, server, path):
    # a workspace of its own, so that JupyterLab does not restore what another test had open
    page.goto(f"{server}/lab/workspaces/{uuid.uuid4()}/tree/notebooks/{path.name}?token=test")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)


def wait_for_kernel(page, server, path):
    """Asked to run before its kernel is connected, JupyterLab would open a dialog instead."""
    for _ in range(120):
        for session in page.request.get(f"{server}/api/sessions?token=test").json():
            kernel = session["kernel"]
            if session["path"].endswith(path.name) and kernel["connections"] and kernel["execution_state"] == "idle":
                return
        page.wait_for_timeout(500)
    pytest.fail("the lesson has no kernel after a minute")


def run_all_cells(page, server, path):
    wait_for_kernel(page, server, path)
    page.click("text=Run >> nth=0")
    page.get_by_text("Run All Cells", exact=True).click()
    for _ in range(120):
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        if errors := page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts():
            pytest.fail(f"a cell ended in an error: {errors[0]}")
        # The stored pictures of explorers are no live ones, so these show that the run has begun
        if page.locator(IDLE).count() and page.locator(".course-explorer").count() and "[*]:" not in prompts:
            return
        page.wait_for_timeout(1000)
    pytest.fail(f"the cells did not end within two minutes: {prompts}")


@pytest.mark.parametrize("path", WITH_EXPLORER, ids=lambda path: path.stem)
def test_lesson_runs_and_its_explorers_answer(page, server, path):
    open_lesson(page, server, path)
    run_all_cells(page, server, path)
    for kind in ("stderr", "error"):
        expect(page.locator(f"[data-mime-type='application/vnd.jupyter.{kind}']")).to_have_count(0)
    for explorer in page.locator(".course-explorer").all():
        picture, sentence = explorer.locator("img"), explorer.locator(".widget-html-content")
        sliders, buttons = explorer.locator("[role=slider]").all(), explorer.locator("button").all()
        assert sliders or buttons
        for control in sliders + buttons:
            before = picture.get_attribute("src"), sentence.inner_text()
            control.press("ArrowRight" if control in sliders else "Enter")
            expect(picture).not_to_have_attribute("src", before[0])
            expect(sentence).not_to_have_text(before[1])


def test_lesson_00_shows_its_first_figure_within_10_seconds(page, server):
    started = time.perf_counter()
    open_lesson(page, server, LESSONS[0])
    page.wait_for_selector(".jp-OutputArea img", timeout=10_000)
    assert time.perf_counter() - started < 10
