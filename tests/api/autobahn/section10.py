"""10 Fragments as a library makes them."""

from .case import TEXT, Case, chop, fragments


def cases():
    yield Case("10.1.1", "text of 65536 bytes in fragments of 1300", fragments(TEXT, chop(b"*" * 65536, 1300)),
               [(TEXT, b"*" * 65536)])
