"""A small WebDriver client for Debian's chromium-driver, with the standard library only."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"


class Missing(Exception):
    """What was waited for did not come."""


def call(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as exc:
        raise Missing(json.loads(exc.read())["value"]["message"].split("\n")[0]) from None


class Driver:
    """One chromedriver process; it picks a free port itself and says which."""

    def __init__(self):
        binary = shutil.which("chromedriver")
        if binary is None:
            raise Missing("chromedriver is not installed (package chromium-driver)")
        self.process = subprocess.Popen([binary, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        for line in self.process.stdout:
            if "started successfully on port" in line:
                self.url = "http://127.0.0.1:%d" % int(line.rstrip(". \n").rsplit(" ", 1)[1])
                return
        raise Missing("chromedriver did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


class Window:
    """A browser with a profile of its own: no window knows of another."""

    def __init__(self, driver, width=1100, height=760, language="en"):
        self.profile = tempfile.mkdtemp(prefix="pim-browser-")
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                "--force-device-scale-factor=1", "--user-data-dir=" + self.profile,
                "--window-size=%d,%d" % (width, height), "--lang=" + language]
        options = {"args": args, "prefs": {"intl.accept_languages": language}}
        if shutil.which("chromium"):
            options["binary"] = shutil.which("chromium")
        answer = call("POST", driver.url + "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.url = "%s/session/%s" % (driver.url, answer["sessionId"])

    def close(self):
        try:
            call("DELETE", self.url)
        finally:
            shutil.rmtree(self.profile, ignore_errors=True)

    def open(self, url):
        call("POST", self.url + "/url", {"url": url})

    def script(self, text, *args):
        return call("POST", self.url + "/execute/sync", {"script": text, "args": list(args)})

    def wait(self, condition, what, seconds=30):
        """Until condition() is true; it may raise Missing meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if value := condition():
                    return value
            except Missing:
                pass
            if time.monotonic() > deadline:
                raise Missing("%s; on the page: %s" % (what, self.script("return document.body.innerText")))
            time.sleep(0.05)

    def find(self, selector):
        """The element, as soon as it can be seen."""
        def visible():
            found = call("POST", self.url + "/element", {"using": "css selector", "value": selector})[ELEMENT]
            return found if call("GET", "%s/element/%s/displayed" % (self.url, found)) else None
        return self.wait(visible, "no " + selector)

    def click(self, selector):
        """Looks again when the page was drawn anew between finding and clicking."""
        self.wait(lambda: call("POST", "%s/element/%s/click" % (self.url, self.find(selector)), {}) is None,
                  "cannot click " + selector)

    def type(self, selector, text):
        call("POST", "%s/element/%s/value" % (self.url, self.find(selector)), {"text": text})

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)",
                           selector)

    def emulate(self, **features):
        """Media features such as prefers_color_scheme="dark"."""
        call("POST", self.url + "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]}})

    def size(self, width, height, mobile=False):
        call("POST", self.url + "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}})

    def console(self):
        """Complaints of the browser: script errors, broken content policy."""
        entries = call("POST", self.url + "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(call("GET", self.url + "/screenshot")))
