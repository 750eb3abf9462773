"""A real browser, driven by its debugging pipe: what a page does with its headers, forms and cookies."""
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from harness import Skip, wait_until


class Browser:
    def __enter__(self):
        program = shutil.which("chromium")
        if program is None:
            raise Skip("there is no chromium")
        self.profile = tempfile.mkdtemp(prefix="browser-")
        ours, to_browser = os.pipe()
        from_browser, theirs = os.pipe()
        # the browser reads at 3 and writes at 4
        command = ["sh", "-c", 'exec "$0" "$@" 3<&%d 4>&%d' % (ours, theirs), program, "--headless", "--no-sandbox",
                   "--disable-gpu", "--remote-debugging-pipe", "--user-data-dir=" + self.profile]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, pass_fds=(ours, theirs), start_new_session=True)
        os.close(ours)
        os.close(theirs)
        self.write, self.read, self.rest = to_browser, from_browser, b""
        self.numbers = itertools.count(1)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_):
        os.killpg(self.child.pid, 9)
        self.child.wait()
        os.close(self.write)
        os.close(self.read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, timeout_s=30, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            while b"\0" in self.rest:
                text, self.rest = self.rest.split(b"\0", 1)
                answer = json.loads(text)
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return answer["result"]
            if select.select([self.read], [], [], 1)[0]:
                self.rest += os.read(self.read, 65536)
        raise AssertionError("the browser does not answer to " + method)

    def run(self, script):
        return self.call("Runtime.evaluate", self.session, expression=script)["result"].get("value")

    def text(self):
        return self.run("document.readyState == 'complete' ? document.body.innerText : ''") or ""

    def open(self, url):
        self.call("Page.navigate", self.session, url=url)

    def click(self, selector):
        wait_until(lambda: self.run("document.readyState == 'complete' && !!document.querySelector(%r)" % selector),
                   "the page shows " + selector)
        self.run("document.querySelector(%r).click()" % selector)

    def shows(self, words):
        return wait_until(lambda: words in self.text(), "the browser shows '%s', not: %s" % (words, self.text()[:500]))
