"""A headless Chromium that reaches no network and keeps nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.chrome.webdriver import WebDriver

PATIENCE = 60.0
"""Seconds to wait for a page on a busy machine; no measure of the page."""

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@contextmanager
def chromium(profile: Path, *flags: str) -> Iterator[WebDriver]:
    """A browser with a profile of its own, an empty directory; it ends with the block.

    ``flags`` come last: of two that contradict each other, they count.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*_FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


class Window:
    """A page in a browser, as somebody sees it who reads, clicks and types."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver

    def open(self, page: Path, address: str = "", *, width: int = 1400, dark: bool = False) -> None:
        """Open a page and wait until it is drawn. ``address`` is what follows the file's name."""
        command = self.driver.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        command("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")
        self._log()
        self.driver.get(page.as_uri() + address)
        if page.name == "index.html":
            self.wait("return document.documentElement.dataset.ready")

    def run(self, script: str, *values: Any) -> Any:  # noqa: ANN401  # whatever the script returns
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, script: str, *values: Any) -> Any:  # noqa: ANN401  # whatever the script returns
        """What a script returns once that is something."""
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: self.run(script, *values))

    def ready_after(self) -> float:
        """Milliseconds from the start of loading until everything was drawn."""
        return float(self.run("return document.documentElement.dataset.ready"))

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that are shown, in their order."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])]"
                ".filter(element => element.getClientRects().length).map(element => element.innerText)",
                selector,
            )
        )

    def text(self, selector: str) -> str:
        """The text of the one element that is shown."""
        (text,) = self.texts(selector)
        return text

    def click(self, selector: str, number: int = 0) -> None:
        """Bring an element into view, wait until it is there, and click it."""
        self.wait(
            "const element = document.querySelectorAll(arguments[0])[arguments[1]];"
            "element?.scrollIntoView({block: 'center', behavior: 'instant'}); return Boolean(element);",
            selector,
            number,
        )
        self.driver.find_elements("css selector", selector)[number].click()

    def leave(self, selector: str) -> None:
        """Click, and wait until the page that was clicked on has gone: the next one may look alike."""
        page = self.driver.find_element("css selector", "html")
        self.click(selector)
        WebDriverWait(self.driver, PATIENCE, 0.05).until(staleness_of(page))

    def choose(self, axis: str, value: str) -> None:
        """Choose in one of the filters."""
        self.run(
            "const select = document.getElementById('filter-' + arguments[0]); select.value = arguments[1];"
            "select.dispatchEvent(new Event('change', {bubbles: true}));",
            axis,
            value,
        )

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def complaints(self) -> list[str]:
        """What the browser said about errors, among them whatever the page's policy forbade."""
        return [entry["message"] for entry in self._log() if entry["level"] == "SEVERE"]

    def _log(self) -> list[dict[str, str]]:
        """What the browser has logged since this was asked last."""
        return cast("list[dict[str, str]]", self.driver.execute("getLog", {"type": "browser"})["value"])
