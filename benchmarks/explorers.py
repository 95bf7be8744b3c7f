"""Input latency of each explorer, in milliseconds, in a real JupyterLab in Chromium.

Run with `make bench`, with nothing else running. In each lesson with explorers all cells run first; then the sliders
of each explorer (its buttons, if it has no sliders) get arrow keys in turn, 20 in all. Measured in the page: from the
keydown event to the load event of the new picture. This includes the messages to the kernel and back, the computation
and the drawing. A key that does not move its slider (at an end), or does not change the picture, does not count.
"""

import contextlib
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError
from tqdm.auto import tqdm

from benchmarks.results import store
from tests.browser import WITH_EXPLORER, chromium, jupyterlab, open_lesson, run_all_cells

PRESSES = 20
WATCH = """explorer => {
    window.milliseconds = [];
    explorer.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
    explorer.querySelector('img').addEventListener('load', () => {
        if (window.pressed !== null) window.milliseconds.push(performance.now() - window.pressed);
        window.pressed = null;
    });
}"""


def milliseconds(page: Page, explorer: Locator) -> list[float]:
    explorer.evaluate(WATCH)
    sliders = explorer.locator("[role=slider]").all()
    controls = sliders or explorer.locator("button").all()
    turn, found = 0, []
    while len(found) < PRESSES:
        key = ("ArrowRight", "ArrowLeft")[turn // (2 * len(controls)) % 2] if sliders else "Enter"
        control = controls[turn % len(controls)]
        before = control.get_attribute("aria-valuenow")
        control.press(key)
        turn += 1
        if sliders and control.get_attribute("aria-valuenow") == before:
            continue
        with contextlib.suppress(TimeoutError):  # another value, but the same picture
            page.wait_for_function(f"window.milliseconds.length > {len(found)}", timeout=5_000)
        found = page.evaluate("window.milliseconds")
        assert turn < 5 * PRESSES, "too few keys change the picture"
    return found


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as server, chromium() as browser:
        for path in tqdm(WITH_EXPLORER):
            page = browser.new_page(viewport={"width": 1250, "height": 1000})
            open_lesson(page, server, path)
            run_all_cells(page, server, path)
            for number, explorer in enumerate(page.locator(".course-explorer").all(), start=1):
                found = milliseconds(page, explorer)
                row = {"lesson": path.stem, "explorer": number, "presses": len(found)}
                rows.append(row | {"median": statistics.median(found), "worst": max(found)})
                print(rows[-1], flush=True)
            page.close()
        version = browser.version
    store("explorers", chromium=version, explorers=rows)


if __name__ == "__main__":
    main()
