#!/usr/bin/python3
"""test_chat.py BUILD_DIR: two people in two browsers sign up, become friends and chat while the server is killed.

Pictures go to $PIM_SCREENSHOTS if that is set; with $PIM_PAGE_PICTURE the one for the README goes there.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
import pim  # noqa: E402
from webdriver import ENTER, Driver, Window  # noqa: E402

SHOTS = os.environ.get("PIM_SCREENSHOTS")
PICTURE = os.environ.get("PIM_PAGE_PICTURE")
TALK = [("Ann", "Hello! Is this really our own server?"), ("Bob", "是的，自己的服务器。"),
        ("Bob", "Nothing lost, nothing doubled 🙂"), ("Ann", "Then let's meet in the garden at six."),
        ("Ann", "I bring tea."), ("Bob", "好的，六点见！I bring the cake 🍰")]
MARKUP = "<img src=x onerror=document.title='broken'> & \"quotes\""


def shot(window, name):
    if SHOTS:
        window.screenshot(os.path.join(SHOTS, name + ".png"))


def sign_up(window, server, name, email):
    window.open(server.url + "/")
    window.click("#auth-switch")
    window.type("input[name=name]", name)
    window.type("input[name=email]", email)
    window.type("input[name=password]", pim.PASSWORD)
    shot(window, "sign-up-" + name)
    window.click("#auth button.primary")
    window.find("aside[data-state=online]")


def open_chat(window, title):
    window.wait(lambda: title in window.texts(".chat b"), "no chat with " + title)
    window.script("[...document.querySelectorAll('.chat')]"
                  ".find((node) => node.querySelector('b').textContent === arguments[0]).click()", title)
    window.find("#text")


def say(window, text):
    window.type("#text", text + ENTER)


def bubbles(window):
    return window.texts(".message .bubble")


def has_all(window, texts):
    window.wait(lambda: bubbles(window) == texts and not window.texts(".unsent"), "not these messages: %s" % texts)
    return True


def steps(tap, server, ann, bob):
    sign_up(ann, server, "Ann", "ann@example.org")
    sign_up(bob, server, "小明", "bob@example.org")
    tap.ok(True, "two people sign up")

    ann.click("#add-friend")
    ann.type("#find input", "bob@example.org")
    ann.click("#find button.primary")
    ann.type("#ask input[name=note]", "it is Ann")
    ann.click("#ask button.primary")
    ann.wait(lambda: "小明" in "".join(ann.texts("#found .notice")), "no word about the request")
    ann.click("#friend-dialog .close")
    bob.find(".request .accept")
    tap.ok("it is Ann" in "".join(bob.texts(".request")), "a request arrives live, with its note")
    shot(bob, "request")
    bob.click(".request .accept")
    open_chat(bob, "Ann")
    open_chat(ann, "小明")
    tap.ok(bob.texts(".request") == [], "accepting makes a chat on both sides")

    talk = []
    for name, text in TALK + [("Ann", MARKUP)]:
        if text == MARKUP:
            pictures(ann, bob)
        say(ann if name == "Ann" else bob, text)
        talk.append(text)
        has_all(ann, talk)
        has_all(bob, talk)
    tap.ok(True, "they chat both ways, in order")
    tap.ok(ann.script("return document.querySelector('.bubble img') === null && document.title !== 'broken'"),
           "markup in a message stays text")

    # Killed in the middle: what is written meanwhile waits and goes out once.
    say(bob, "before the crash")
    server.kill9()
    ann.find("aside[data-state=offline], aside[data-state=connecting]")
    say(ann, "written while the server is down")
    say(ann, "and one more")
    ann.wait(lambda: len(ann.texts(".unsent")) == 2, "unsent messages are not shown")
    shot(ann, "offline")
    ann.open(server.url.replace("http:", "about:blank#"))  # the page is gone: only what it stored is left
    server.start()
    ann.open(server.url + "/")
    open_chat(ann, "小明")
    crash = ["before the crash", "written while the server is down", "and one more"]
    for window in (ann, bob):
        window.wait(lambda w=window: sorted(bubbles(w)) == sorted(talk + crash) and not w.texts(".unsent"),
                    "not all came through")
    order = [text for text in bubbles(ann) if text in crash[1:]]
    tap.ok(order == crash[1:], "after kill -9, a reload and a restart everything is there once, in order", bubbles(ann))
    tap.ok(bubbles(bob) == bubbles(ann), "both see the same")
    talk = bubbles(ann)
    bob.find("aside[data-state=online]")

    # Unread counts: Bob looks elsewhere.
    bob.script("document.querySelector('#back').click()")
    bob.wait(lambda: not bob.script("return document.querySelector('#text')"), "the chat does not close")
    say(ann, "one")
    say(ann, "two")
    bob.wait(lambda: bob.texts(".badge") == ["2"], "no badge for two unread messages")
    tap.ok(True, "unread messages are counted")
    bob.open(server.url + "/")
    bob.wait(lambda: bob.texts(".badge") == ["2"], "the count is not the same after a reload")
    open_chat(bob, "Ann")
    talk += ["one", "two"]
    has_all(bob, talk)
    bob.wait(lambda: bob.texts(".badge") == [], "reading does not clear the badge")
    bob.open(server.url + "/")
    bob.find("aside[data-state=online]")
    open_chat(bob, "Ann")
    tap.ok(bob.texts(".badge") == [], "what was read stays read after a reload")

    # A long talk: the newest rows come first, older ones when scrolling up.
    for i in range(120):
        ann.script("document.querySelector('#text').value = arguments[0];"
                   "document.querySelector('#send').click()", "line %d" % i)
    talk += ["line %d" % i for i in range(120)]
    has_all(ann, talk)
    ann.open(server.url + "/")
    open_chat(ann, "小明")
    ann.wait(lambda: bubbles(ann)[-1:] == ["line 119"], "the newest is not there")
    fewer = len(bubbles(ann))

    def scroll_up():
        ann.script("document.querySelector('.scroller').scrollTop = 0;"
                   "document.querySelector('.scroller').dispatchEvent(new Event('scroll'))")
        return bubbles(ann) == talk
    ann.wait(scroll_up, "the beginning does not come")
    tap.ok(fewer < len(talk), "history pages upward to the beginning", "%d of %d at first" % (fewer, len(talk)))

    # Groups.
    ann.click("#groups")
    ann.type("#new-group input", "Garden")
    ann.click("#new-group button.primary")
    ann.wait(lambda: ann.texts(".conversation h2") == ["Garden"], "the new group does not open")
    ann.click("#details")
    number = re.search(r"\d+", ann.texts("#details-dialog .muted")[0])[0]
    ann.wait(lambda: ann.texts("#members li span:last-child") == ["Ann"], "the members are not listed")
    ann.click("#details-dialog .close")
    bob.click("#groups")
    bob.type("#join-group input", number)
    bob.click("#join-group button.primary")
    bob.wait(lambda: bob.texts(".conversation h2") == ["Garden"], "the joined group does not open")
    say(bob, "你好 everyone")
    has_all(ann, ["你好 everyone"])
    say(ann, "welcome")
    has_all(bob, ["你好 everyone", "welcome"])
    bob.click("#details")
    bob.click("#details-dialog .danger")
    bob.click("#details-dialog .danger")
    bob.wait(lambda: bob.texts(".conversation h2") == [], "leaving does not close the group")
    ann.wait(lambda: any("小明" in text for text in ann.texts(".event")[-1:]), "nobody says that one left")
    tap.ok(True, "a group is made, joined, used and left")

    bob.click("#language")
    tap.ok(bob.texts("#sign-out") == ["退出登录"], "the page speaks Chinese")
    shot(bob, "chinese")
    bob.click("#sign-out")
    bob.find("#auth")
    bob.type("input[name=email]", "bob@example.org")
    bob.type("input[name=password]", "wrong password")
    bob.click("#auth button.primary")
    bob.wait(lambda: "".join(bob.texts("#auth .error")), "a wrong password is not told")
    tap.ok(True, "signing out leaves, a wrong password is told")


def pictures(ann, bob):
    shot(ann, "chat-light")
    if PICTURE:
        ann.screenshot(PICTURE)
    ann.emulate(prefers_color_scheme="dark")
    shot(ann, "chat-dark")
    ann.emulate(prefers_color_scheme="light")
    bob.size(390, 780, mobile=True)
    shot(bob, "phone-chat")
    bob.click("#back")
    shot(bob, "phone-list")
    bob.size(1100, 760)
    open_chat(bob, "Ann")


def main():
    tap = pim.Tap()
    driver, windows = Driver(), []
    try:
        with pim.Server(sys.argv[1]) as server:
            try:
                windows += [Window(driver), Window(driver)]
                steps(tap, server, *windows)
                severe = [m for w in windows for m in w.console()
                          if not re.search(r"ERR_CONNECTION_REFUSED|WebSocket connection|status of 40[13]", m)]
                tap.ok(not severe, "no script error and no broken content policy", "\n".join(severe))
            except Exception as exc:
                tap.ok(False, "goes through", repr(exc))
                for i, window in enumerate(windows):
                    shot(window, "failed-%d" % i)
                raise
            finally:
                for window in windows:
                    window.close()
    finally:
        driver.stop()
    tap.done()


if __name__ == "__main__":
    main()
