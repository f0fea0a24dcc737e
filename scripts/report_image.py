"""Makes docs/report.png from a finished report: python scripts/report_image.py reports/demo

Curves and confusion matrices, and below them faces, as the page shows them in Chromium, in twice the pixels that README
has for them.
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
# Elements of the page in rows; the number is the share of the sheet's width that each of them takes.
ROWS = (
    (("#fig-curves .panel:last-of-type svg", 0.44), ("#fig-confusion .panel:nth-of-type(2) svg", 0.28),
     ("#fig-confusion .panel:nth-of-type(3) svg", 0.28)),
    (("#fig-cards-certain img", 1.0),),
)  # fmt: skip
VIEWPORT_PX, WIDTH_PX, GAP_PX = 680, 1680, 40


def main() -> None:
    """Draws the figures of the run folder that the command names."""
    page = Path(sys.argv[1]) / "report.html"
    if not page.is_file():
        sys.exit(f"{page} is missing: `emotion run` makes it")
    with open_chromium() as browser:
        browser.get(page.resolve().as_uri())
        rows = [join([take(browser, *part) for part in row], across=True) for row in ROWS]
    drawn = join(rows, across=False)
    sheet = Image.new("RGB", (drawn.width + 2 * GAP_PX, drawn.height + 2 * GAP_PX), "white")
    sheet.paste(drawn, (GAP_PX, GAP_PX))
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
    """The first element of the page that `selector` finds, as wide as that `share` of the sheet."""
    box = browser.execute_script(
        "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return {x: box.x, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}", selector,
    )  # fmt: skip
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": box, "captureBeyondViewport": True})
    image = Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")
    width = round(share * WIDTH_PX)
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
