"""axe-core (WCAG 2 A and AA) over every view, light and dark, and on a phone."""

import pytest
from conftest import accessibility_faults, token
from test_report import river

SIZES = {"phone": {"width": 390, "height": 844}, "laptop": {"width": 1366, "height": 768}}


@pytest.mark.parametrize("size, dark", [("laptop", False), ("laptop", True), ("phone", True)])
def test_report(open_report, size, dark):
    page = open_report(river(), viewport=SIZES[size], dark=dark)
    for name in ("Bars", "Layers", "Token map", "Depth", "Sources"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(150)
        assert accessibility_faults(page) == [], name
    token(page, 2, "prompt").click()
    page.keyboard.press("2")
    page.keyboard.press("0")
    assert accessibility_faults(page) == [], "filtered"
    page.keyboard.press("c")
    page.wait_for_timeout(150)
    assert accessibility_faults(page) == [], "side by side"
    page.keyboard.press("?")
    assert accessibility_faults(page) == [], "help"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Export").click()
    assert accessibility_faults(page) == [], "export"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page(open_page, server, dark):
    page = open_page(server.url, dark=dark)
    page.locator("details.settings summary").click()
    page.get_by_role("button", name="Add a document").click()
    page.get_by_label("I write the answer").check()
    assert accessibility_faults(page) == [], "composer"
    page.get_by_role("button", name="Runs").click()
    assert accessibility_faults(page) == [], "runs"
