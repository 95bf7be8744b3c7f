"""Lessons in a real JupyterLab in a real browser: all cells run, and every control of every explorer does something.

A lesson with an explorer is found by itself: a new one needs nothing here.
"""

import os
import time

import pytest
from playwright.sync_api import Error, expect

from tests.browser import LESSONS, WITH_EXPLORER, chromium, jupyterlab, open_lesson, run_all_cells


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    try:
        with chromium() as browser:
            yield browser
    except Error as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no browser: type '.venv/bin/playwright install chromium' ({error.message.splitlines()[0]})")


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1250, "height": 1000})
    yield page
    page.close()


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
