"""A headless Chromium, driven over the pipes of its DevTools protocol: nothing to install beside it."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page; `events` holds what the browser said of its own accord."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._buffer, self._number = write, read, b"", 0
        self.session: str | None = None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict:
        """Give an order and return its result."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            order["sessionId"] = self.session
        os.write(self._write, json.dumps(order).encode() + b"\0")
        while (message := self._next()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, url: str) -> None:
        """Go to a page and wait until all of it is there."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> object:
        """Return the value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Make the page as large as so many pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """Return what is to be seen, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def complaints(self) -> list[dict]:
        """Return errors and warnings of the console, exceptions, and whatever was asked of a network."""
        wrong = []
        for event in self.events:
            about, method = event.get("params", {}), event.get("method")
            if (
                method == "Runtime.exceptionThrown"
                or (method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning"))
                or (method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"))
                or (
                    method == "Network.requestWillBeSent"
                    and not about["request"]["url"].startswith(("file:", "data:"))
                )
            ):
                wrong.append(about)
        return wrong

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has gone"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


@contextmanager
def browser(chromium: str, profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile, and end it."""
    orders, answers = os.pipe(), os.pipe()
    # The protocol is spoken over the browser's files 3 and 4, which the shell puts in place.
    script = f'exec 3<&{orders[0]} 4>&{answers[1]}; exec "$@"'
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command],
        pass_fds=(orders[0], answers[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(orders[0])
    os.close(answers[1])
    try:
        page = Browser(orders[1], answers[0])
        yield page
        page.session = None
        page.call("Browser.close")
    finally:
        os.close(orders[1])
        os.close(answers[0])
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
