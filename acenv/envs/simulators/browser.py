"""A headless Chromium that never outlives the process that uses it."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from acenv.envs.simulators.browser_guardian import end, strays

START_SECONDS = 30.0
ANSWER_SECONDS = 30.0
"""How long the browser may take over one request before it counts as hung."""

_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
    "--lang=en-US",
    "--window-size=500,400",
    # No name and no address is ever resolved: pages come from files.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

ResultT = TypeVar("ResultT")


class BrowserError(RuntimeError):
    """The browser could not be started, has crashed, or does not answer."""


class Browser:
    """One browser with its driver, a new profile, and no network.

    Driver and browser run below a guardian process (:mod:`acenv.envs.simulators.browser_guardian`) that kills them and
    removes the profile when :meth:`close` is called, when this object is collected, when the interpreter ends, and when
    this process is killed.
    """

    def __init__(self) -> None:
        """Start driver and browser.

        Raises:
            BrowserError: They do not start.
        """
        chromedriver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        if chromedriver is None or chromium is None:
            raise BrowserError("chromium and chromedriver must be on the PATH")
        folder = tempfile.mkdtemp(prefix="acenv-browser-")
        guardian = Path(__file__).with_name("browser_guardian.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(guardian), folder, chromedriver, "--port=0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the program, which then closes the browser.
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                **dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), folder),
                "LANG": "en_US.UTF-8",
                "TZ": "UTC",
            },
        )
        self._finalizer = weakref.finalize(self, _end, self._process, folder)
        try:
            self._driver = _connect(_read_port(self._process), chromium, folder)
        except BaseException as error:
            self.close()
            if isinstance(error, Exception) and not isinstance(error, BrowserError):
                raise BrowserError(f"the browser does not start: {_first_line(error)}") from error
            raise

    def open(self, url: str) -> None:
        """Load a page.

        Raises:
            BrowserError: The browser has crashed or does not answer.
        """
        self._ask(lambda: self._driver.get(url))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script of ours in the page; ``arguments`` are data to it.

        Raises:
            BrowserError: The browser has crashed, does not answer, or the script fails.
        """
        return self._ask(lambda: self._driver.execute_script(script, *arguments))

    def run_async(self, script: str, *arguments: Any) -> Any:
        """Run a script of ours that calls its last argument when it is done.

        Raises:
            BrowserError: The browser has crashed, does not answer, or the script fails.
        """
        return self._ask(lambda: self._driver.execute_async_script(script, *arguments))

    def press(self, *keys: str) -> None:
        """Press keys one after another, as a keyboard does.

        Args:
            keys: Characters or WebDriver's codes of special keys. Those of one string are held down together.

        Raises:
            BrowserError: The browser has crashed or does not answer.
        """
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self._driver, duration=0)
        for held in keys:
            for key in held:
                chain.key_down(key)
            for key in reversed(held):
                chain.key_up(key)
        self._ask(chain.perform)

    def close(self) -> None:
        """End the browser and its driver and remove its profile; a second call does nothing."""
        self._finalizer()

    def _ask(self, request: Callable[[], ResultT]) -> ResultT:
        """Do something that needs the browser; whatever goes wrong, it is not used again."""
        if not self._finalizer.alive:
            raise BrowserError("the browser is closed")
        try:
            return request()
        except Exception as error:
            self.close()
            raise BrowserError(f"the browser failed: {type(error).__name__}: {_first_line(error)}") from error


def _connect(port: int, chromium: str, folder: str) -> Any:
    from selenium import webdriver
    from selenium.webdriver.common.proxy import Proxy
    from selenium.webdriver.remote.client_config import ClientConfig

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.unhandled_prompt_behavior = "accept"
    options.timeouts = {"script": 10_000, "pageLoad": 20_000, "implicit": 0}
    for flag in (*_FLAGS, f"--user-data-dir={folder}/profile"):
        options.add_argument(flag)
    if os.geteuid() == 0:  # Chromium's sandbox does not run for root.
        options.add_argument("--no-sandbox")
    address = f"http://127.0.0.1:{port}"
    # A running driver is given, so that Selenium looks for none and downloads none.
    return webdriver.Remote(
        command_executor=address,
        options=options,
        client_config=ClientConfig(
            remote_server_addr=address, timeout=int(ANSWER_SECONDS), proxy=Proxy({"proxyType": "DIRECT"})
        ),
    )


def _read_port(process: subprocess.Popen[bytes]) -> int:
    """The port that the driver names on its standard output."""
    assert process.stdout is not None
    said = b""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], 0.5)[0]:
            continue
        more = os.read(process.stdout.fileno(), 4096)
        if not more:
            break
        said += more
        if found := re.search(rb"started successfully on port (\d+)", said):
            return int(found[1])
    raise BrowserError(f"chromedriver does not start: {said.decode(errors='replace').strip()[-200:] or 'no answer'}")


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    """Let the guardian end everything, and wait until it has."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode:  # It was killed itself, as by the system when memory runs out.
        end(lambda: strays(process.pid, folder))
        shutil.rmtree(folder, ignore_errors=True)
    process.stdout.close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:300]
