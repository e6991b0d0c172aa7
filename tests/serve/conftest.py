"""A folder with all that can be served and all that must not be, and clients that send bytes as they like."""

import contextlib
import os
import socket
import threading

import pytest

from imagekit.cli import options
from imagekit.serve import Server

SECRET = b"this lies outside\n"
DATA = bytes(range(256)) * 400


@pytest.fixture
def top(tmp_path):
    """Make a folder to serve, with things around it that must never be sent."""
    folder = tmp_path / "served"
    (folder / "os/platform").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "served-not").mkdir()
    (tmp_path / "served-not/secret").write_bytes(SECRET)
    (folder / "unix").write_bytes(DATA)
    (folder / "empty").write_bytes(b"")
    (folder / "os/platform/boot_archive").write_bytes(b"archive")
    (folder / "smartos.ipxe").write_text("#!ipxe\n")
    (folder / "50% & <b> ü.txt").write_text("odd name")
    (folder / "back\\slash").write_text("one name")
    (folder / os.fsdecode(b"not utf-8 \xff")).write_text("bytes")
    (folder / ".hidden").write_text("hidden")
    (folder / "inner").symlink_to("os/platform")
    (folder / "inner-file").symlink_to(folder / "unix")
    (folder / "leaves").symlink_to("../secret")
    (folder / "leaves-absolute").symlink_to(tmp_path / "secret")
    (folder / "leaves-folder").symlink_to("..")
    (folder / "sibling").symlink_to("../served-not")
    (folder / "twice").symlink_to("leaves-folder/secret")
    (folder / "endless").symlink_to("endless")
    (folder / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):
        listening.bind("socket")
    return folder


@pytest.fixture
def serving(top):
    """Serve the folder from a thread; return the server."""
    with Server(top, port=0, say=options.note) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def connect(serving):
    """Return a function that opens a connection; all are closed in the end."""
    with contextlib.ExitStack() as stack:

        def run():
            # A guard against hanging for ever, not a limit.
            return stack.enter_context(socket.create_connection(("127.0.0.1", serving.port), timeout=60))

        yield run


@pytest.fixture
def raw(connect):
    """Return a function that sends bytes and returns all that comes until the server closes."""

    def run(data):
        connection = connect()
        with contextlib.suppress(ConnectionError):  # it may be refused before all of it was read
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                answer += data
        return answer

    return run


@pytest.fixture
def ask(raw):
    """Return a function that makes a request and returns (status, headers in small letters, body)."""

    def run(target, *headers, method="GET"):
        target = target if isinstance(target, bytes) else target.encode()
        lines = ["", "Host: test", "Connection: close", *headers, "", ""]
        return parsed(raw(method.encode() + b" " + target + b" HTTP/1.1" + "\r\n".join(lines).encode()))

    return run


@pytest.fixture
def answer(raw):
    """Return a function that sends bytes and returns the answer's (status, headers in small letters, body)."""
    return lambda data: parsed(raw(data))


def parsed(data):
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers, body
