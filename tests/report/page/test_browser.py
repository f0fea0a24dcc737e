"""The report in a real browser: on a telephone and a desk, light and dark, by pointer, keyboard and screen reader."""

import json
import re

import fake_run
import pytest

from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report.page.render import render_report

PHONE, DESK = (390, 844), (1280, 900)


@pytest.fixture
def visit(browser, report):
    """visit(size, scheme, path) -> the browser with the report (or another file of the run) open."""

    def open_page(size=DESK, scheme="light", path="report.html"):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get((report[0].root / path).as_uri())
        return browser

    return open_page


def requests(browser):
    """What pages have asked for; what Chromium itself does for the empty one that it starts with is no page's."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "chrome:"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("path", ["report.html", "notebooks/06_comparison.html"])
def test_page_asks_nobody_complains_of_nothing_and_fits(visit, report, size, scheme, path):
    page = visit(size, scheme, path)
    assert requests(page) == [(report[0].root / path).as_uri()]
    assert [entry for entry in page.get_log("browser") if entry["level"] != "INFO"] == []
    assert page.execute_script("return document.documentElement.scrollWidth") <= size[0]
    paper = page.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(PHONE, "dark", id="phone, dark", marks=pytest.mark.slow),
        pytest.param(DESK, "light", id="desk, light"),
        pytest.param(PHONE, "light", id="phone, light", marks=pytest.mark.slow),
        pytest.param(DESK, "dark", id="desk, dark", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_to_complain_of(visit, size, scheme):
    from axe_core_python.base import AXE_SCRIPT

    page = visit(size, scheme)
    page.execute_script(AXE_SCRIPT)
    found = page.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 20
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found["violations"]] == []


@pytest.mark.parametrize("path", ["report.html", "notebooks/06_comparison.html"])
def test_policy_lets_no_other_script_run_and_nothing_be_fetched(visit, path):
    page = visit(path=path)
    page.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.intruded = true";
        document.body.append(script);
        const image = "<img src='file:///etc/hostname' onerror='window.intruded = true'>";
        document.body.insertAdjacentHTML("beforeend", image);
    """)
    page.execute_async_script("setTimeout(arguments[0], 200)")
    assert page.execute_script("return window.intruded") is None
    refused = [entry["message"] for entry in page.get_log("browser")]
    assert sum("Content Security Policy" in message for message in refused) >= 3  # the script, the image, its handler


HOSTILE_NAMES = (
    *fake_run.HOSTILE, "<img src=x onerror=alert(1)>", "'\"><svg onload=alert(1)>", "{{7*7}}", "javascript:alert(1)",
    "</style><blink>",
)  # fmt: skip


@pytest.mark.slow
def test_hostile_names_are_shown_as_the_text_that_they_are(visit, make_run, execute):
    run = make_run(classes=HOSTILE_NAMES, skills={"r18_pre_emotion": 0.6, "VGG16_emotion": 0.5}, images=900, epochs=1)
    render_report(run, execute(run))
    page = visit(path=run.root / "report.html")
    assert [entry for entry in page.get_log("browser") if entry["level"] != "INFO"] == []
    assert requests(page) == [(run.root / "report.html").as_uri()]
    shown = {element.text for element in page.find_elements("css selector", "#tbl-report-VGG16_emotion bdi")}
    assert {" ".join(name.split()) for name in HOSTILE_NAMES} <= shown
    strange = "blink, svg[onload], img[onerror], a[href^=javascript]"
    assert page.execute_script("return document.querySelectorAll(arguments[0]).length", strange) == 0


def test_contents_follow_the_reader(visit):
    page = visit(DESK)
    for heading in ("sec-introduction", "sec-model-metrics", "sec-how-to-reproduce"):
        page.execute_script("document.getElementById(arguments[0]).scrollIntoView()", heading)
        page.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")
        marked = "return [...document.querySelectorAll('nav [aria-current]')].map((a) => a.hash)"
        assert page.execute_script(marked) == [f"#{heading}"]


def test_contents_are_folded_on_a_telephone_and_open_at_a_touch(visit):
    page = visit(PHONE)
    contents = page.find_element("css selector", "nav.contents details")
    assert contents.get_attribute("open") is None
    contents.find_element("css selector", "summary").click()
    contents.find_element("css selector", "a[href='#sec-conclusion']").click()
    assert contents.get_attribute("open") is None
    assert page.execute_script("return location.hash") == "#sec-conclusion"


def test_code_is_folded_away_and_unfolds(visit):
    page = visit(DESK)
    assert page.execute_script("return document.querySelectorAll('details.code').length") > 5
    assert page.execute_script("return document.querySelectorAll('details.code[open]').length") == 0
    code = page.find_element("css selector", "details.code summary")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", code)
    code.click()
    assert "show_text" in page.find_element("css selector", "details.code[open]").text


@pytest.mark.parametrize("kind", [0, 1], ids=["loss", "accuracy"])
def test_curves_tell_the_values_under_the_pointer(visit, report, kind):
    from selenium.webdriver.common.action_chains import ActionChains

    page, history = visit(DESK), report[1].histories["r18_scratch_emotion"]
    curve = page.find_elements("css selector", "[data-curve]")[kind]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", curve)
    places = json.loads(curve.get_attribute("data-curve"))
    svg = curve.find_element("css selector", "svg")
    across = svg.size["width"] / page.execute_script("return arguments[0].viewBox.baseVal.width", svg)
    x = places["x"][4] * across - svg.size["width"] / 2 + 2  # near the fifth epoch; offsets are from the middle
    ActionChains(page).move_to_element_with_offset(svg, round(x), 0).perform()
    said = curve.find_element("css selector", "output").text.splitlines()
    val, train = history.loc[4, [("val_loss", "train_loss"), ("val_acc", "train_acc")][kind]]
    assert said[0] == "epoch 5"
    assert said[2] == f"r18_scratch_emotion: {val:.3f}, in training {train:.3f}"
    ActionChains(page).move_to_element(page.find_element("css selector", "h1")).perform()
    assert not curve.find_element("css selector", "output").is_displayed()


def test_curves_answer_to_the_arrow_keys(visit):
    page = visit(DESK)
    curve = page.find_elements("css selector", "[data-curve]")[0]
    curve.send_keys("\ue014\ue014\ue014")  # right
    assert curve.find_element("css selector", "output").text.startswith("epoch 3")
    curve.send_keys("\ue012")  # left
    assert curve.find_element("css selector", "output").text.startswith("epoch 2")


def test_marks_of_a_curve_lie_on_its_points(report):
    """The drawn line goes through the places that the script uses."""
    from html import unescape

    html = report[2]["html"].read_text(encoding="utf-8")
    for data, svg in re.findall(r'data-curve="([^"]+)">(<svg.*?</svg>)', html, re.S):
        places = json.loads(unescape(data))
        for series in places["series"]:
            for x, y in zip(places["x"], series["val_y"], strict=True):
                drawn = [(float(a), float(b)) for a, b in re.findall(r"[ML] ([\d.]+) ([\d.]+)", svg)]
                assert min(abs(a - x) + abs(b - y) for a, b in drawn) < 0.5


def test_wide_tables_scroll_inside_their_frame_on_a_telephone(visit):
    page = visit(PHONE)
    wide = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth).length"
    )
    assert wide > 0
    frames = "[...document.querySelectorAll('.scroll')]"
    inside = f"return {frames}.every((each) => each.getBoundingClientRect().right <= innerWidth)"
    assert page.execute_script(inside)


EXAMPLE = PROJECT_DIR / "docs" / "example" / "report.html"  # it has images of faces
IMAGES = "[...document.querySelectorAll('.panel:has(> img)')]"
WAIT = "setTimeout(arguments[arguments.length - 1], 200)"  # for the observers of a page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_images_wider_than_a_telephone_are_marked_where_they_go_on(visit, scheme):
    page = visit(PHONE, scheme, EXAMPLE)
    page.execute_async_script(WAIT)
    marks = f"""return {IMAGES}.map((each) => ["::before", "::after"].map((side) => {{
        const style = getComputedStyle(each, side);
        return style.visibility === "visible" && style.zIndex === "1" && parseFloat(style.width) > 9;
    }}))"""
    scrolled = f"{IMAGES}.forEach((each) => {{ each.scrollLeft = %s; }})"
    seen = {}
    for place in ("0", "30", "each.scrollWidth"):
        page.execute_script(scrolled % place)
        page.execute_async_script(WAIT)
        seen[place] = page.execute_script(marks)
    assert len(seen["0"]) == 4
    assert {tuple(each) for each in seen["0"]} == {(False, True)}
    assert {tuple(each) for each in seen["30"]} == {(True, True)}
    assert {tuple(each) for each in seen["each.scrollWidth"]} == {(True, False)}


def test_images_that_fit_are_not_marked(visit):
    page = visit(DESK, path=EXAMPLE)
    page.execute_async_script(WAIT)
    assert page.execute_script("return document.querySelectorAll('.more-left, .more-right').length") == 0


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_images_with_words_are_not_shrunk(visit, size):
    page = visit(size, path=EXAMPLE)
    shown = page.execute_script(
        f"return {IMAGES}.map((each) => [each.style.getPropertyValue('--width'), each.firstChild.clientWidth])"
    )
    assert [width for _, width in shown] == [int(given.removesuffix("px")) for given, _ in shown]


def test_notebooks_are_linked_and_lead_back(visit, report):
    page = visit(DESK)
    page.find_element("css selector", "dl.meta a[href*='06_']").click()
    assert page.current_url.endswith("notebooks/06_comparison.html")
    page.find_element("css selector", "header a").click()
    assert page.current_url == report[2]["html"].as_uri()


def test_page_turns_dark_and_light_and_stays_so(visit):
    page, paper = visit(DESK), "return getComputedStyle(document.documentElement).backgroundColor"
    page.find_element("css selector", "button.theme").click()
    assert page.execute_script(paper) == "rgb(22, 24, 28)"
    page = visit(DESK)
    assert page.execute_script(paper) == "rgb(22, 24, 28)"
    page.find_element("css selector", "button.theme").click()
    assert page.execute_script(paper) == "rgb(255, 255, 255)"
    page.execute_script("localStorage.clear()")


@pytest.mark.parametrize("link", ["a.ref[href='#tbl-pairs']", "sup.cite a[href='#ref-holm']"])
def test_reference_shows_what_it_points_to(visit, link):
    from selenium.webdriver.common.action_chains import ActionChains

    page = visit(DESK)
    element = page.find_element("css selector", link)
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    # Scrolling hides the tip, and is told with the next frame: the pointer comes after it.
    page.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    ActionChains(page).move_to_element(element).perform()
    tip = page.find_element("css selector", ".tip")
    assert tip.is_displayed()
    assert ("Pairs of models" if "pairs" in link else "sequentially rejective") in tip.text
    ActionChains(page).move_to_element(page.find_element("css selector", "button.theme")).perform()
    assert not tip.is_displayed()


def test_every_code_can_be_copied_and_says_what_it_makes(visit):
    page = visit(DESK)
    codes = "[...document.querySelectorAll('details.code pre, pre.command')]"
    assert page.execute_script(f"return {codes}.every((each) => each.nextSibling.matches('button'))")
    labels = [each.text for each in page.find_elements("css selector", "details.code summary")]
    assert "Code of Table 1 and Figure 3" in labels
    assert all(re.match("Code of |Code: ", label) for label in labels)


def test_text_of_figures_is_large_enough_on_a_telephone(visit):
    sizes = visit(PHONE).execute_script("""
        return [...document.querySelectorAll("figure svg")].map((svg) => {
          const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
          const sizes = [...svg.querySelectorAll("text")].map((text) => parseFloat(getComputedStyle(text).fontSize));
          return scale * Math.min(...sizes);
        })
    """)
    assert min(sizes) >= 9


def test_notebook_pages_lead_to_the_next_and_back(visit):
    page = visit(DESK, path="notebooks/01_data_preparation.html")
    page.find_element("css selector", ".pages a").click()
    assert page.current_url.endswith("notebooks/02_vggface_finetuned.html")
    page.find_element("css selector", ".pages a").click()
    assert page.current_url.endswith("notebooks/01_data_preparation.html")
