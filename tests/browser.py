"""A real JupyterLab in a real browser, for test_browser and benchmarks/explorers.py."""

import contextlib
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

from playwright.sync_api import sync_playwright

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


@contextlib.contextmanager
def jupyterlab(folder):
    """The address of a JupyterLab on a copy of the lessons in `folder`: nothing is written into the originals."""
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
    raise TimeoutError(f"JupyterLab did not answer within {seconds} s:\n{log.read_text(encoding='utf-8')}")


@contextlib.contextmanager
def chromium():
    """A Chromium of the system's, or playwright's own. Raises playwright.sync_api.Error if there is none."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, BROWSERS)), None), args=OPTIONS
        )
        yield browser
        browser.close()


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
    raise TimeoutError("the lesson has no kernel after a minute")


def run_all_cells(page, server, path):
    wait_for_kernel(page, server, path)
    page.click("text=Run >> nth=0")
    page.get_by_text("Run All Cells", exact=True).click()
    for _ in range(120):
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        if errors := page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts():
            raise AssertionError(f"a cell ended in an error: {errors[0]}")
        # The stored pictures of explorers are no live ones, so these show that the run has begun
        if page.locator(IDLE).count() and page.locator(".course-explorer").count() and "[*]:" not in prompts:
            return
        page.wait_for_timeout(1000)
    raise TimeoutError(f"the cells did not end within two minutes: {prompts}")
