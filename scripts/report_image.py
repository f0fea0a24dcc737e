"""Makes docs/report.png from a finished report: python scripts/report_image.py reports/demo

Curves and confusion matrices on the left, faces on the right, as the page shows them in Chromium, in twice the pixels
that README has for them.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium import webdriver

OUTPUT = Path(__file__).parents[1] / "docs" / "report.png"
# Elements of the page in rows; the number is the share of the row's width that each of them takes.
LEFT = (
    (("#fig-curves .panel:last-of-type svg", 0.85),),
    (("#fig-confusion .panel:nth-of-type(2) svg", 0.5), ("#fig-confusion .panel:nth-of-type(3) svg", 0.5)),
)
RIGHT = ((("#fig-cards-certain img", 1.0),), (("#fig-average-faces img", 0.75),))
VIEWPORT_PX, COLUMN_PX, GAP_PX = 680, 820, 40


def main() -> None:
    """Draws the figures of the run folder that the command names."""
    page = Path(sys.argv[1]) / "report.html"
    if not page.is_file():
        sys.exit(f"{page} is missing: `emotion run` makes it")
    with open_chromium() as browser:
        browser.get(page.resolve().as_uri())
        rows = [[join([take(browser, *part) for part in row], across=True) for row in side] for side in (LEFT, RIGHT)]
    columns = [join(images, across=False) for images in rows]
    height = max(column.height for column in columns)
    sheet = Image.new("RGB", (2 * COLUMN_PX + 3 * GAP_PX, height + 2 * GAP_PX), "white")
    for number, column in enumerate(columns):
        sheet.paste(column, (GAP_PX + number * (COLUMN_PX + GAP_PX), GAP_PX))
    sheet.save(OUTPUT, optimize=True)


def open_chromium() -> webdriver.Chrome:
    """A browser without a window that shows a light page in twice the pixels."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    driver = shutil.which("chromedriver")
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver) if driver else None)
    size = {"width": VIEWPORT_PX, "height": 1000, "deviceScaleFactor": 2, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    light = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
    return browser


def take(browser: webdriver.Chrome, selector: str, share: float) -> Image.Image:
    """The first element of the page that `selector` finds, as wide as that `share` of a column."""
    box = browser.execute_script(
        "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return {x: box.x, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}", selector,
    )  # fmt: skip
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": box, "captureBeyondViewport": True})
    image = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
    width = round(share * COLUMN_PX)
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def join(images: list[Image.Image], *, across: bool) -> Image.Image:
    """Side by side, or one below the other with a gap."""
    widths, heights = [image.width for image in images], [image.height for image in images]
    size = (sum(widths), max(heights)) if across else (max(widths), sum(heights) + GAP_PX * (len(images) - 1))
    sheet, left, top = Image.new("RGB", size, "white"), 0, 0
    for image in images:
        sheet.paste(image, (left, top))
        left, top = (left + image.width, top) if across else (left, top + image.height + GAP_PX)
    return sheet


if __name__ == "__main__":
    main()
