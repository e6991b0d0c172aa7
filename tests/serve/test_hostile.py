"""Requests that would have `imagekit serve` send what lies outside its folder, or get it out of step."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.serve import jail
from imagekit.serve.jail import Jail, RefusedError, Target

SECRET = b"this lies outside\n"

OUTSIDE = [
    "/../secret",
    "/os/../../secret",
    "/%2e%2e/secret",
    "/%2E./secret",
    "/.%2e/secret",
    "/..%2fsecret",
    "/..%2Fsecret",
    "/%2e%2e%2fsecret",
    "/os%2f..%2f..%2fsecret",
    "/..%5csecret",
    "/..\\secret",
    "/%252e%252e/secret",
    "/..%c0%afsecret",
    "/%c0%ae%c0%ae/secret",
    "//../secret",
    "/./../secret",
    "/.../secret",
    "/..;/secret",
    "/leaves",
    "/leaves-absolute",
    "/leaves-folder/secret",
    "/leaves-folder/",
    "/leaves-folder",
    "/leaves-folder/served/../secret",
    "/sibling/secret",
    "/../served-not/secret",
    "/twice",
    "/endless",
    "/dangling",
    "/pipe",
    "/socket",
    "/unix/../../secret",
    "/nowhere/../../secret",
    "http://x/../secret",
    "http://x/leaves",
    "http://../secret",
    "http:///../secret",
    "/" + "../" * 100 + "etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/" + "a" * 300,
    "/" + "a/" * 2500,
]
BAD = [
    "secret",
    "../secret",
    "*",
    "file:///etc/passwd",
    "ftp://x/unix",
    "test:80",
    "/unix%00",
    "/%00/../secret",
    "/unix%",
    "/unix%2",
    "/unix%zz",
    "/unix#fragment",
    "\\..\\secret",
]


class TestHostile:
    @pytest.mark.parametrize("target", OUTSIDE)
    def test_nothing_outside(self, ask, target):
        status, _, body = ask(target)
        assert (status, body) == (404, b"404 Not Found\n")

    @pytest.mark.parametrize("target", BAD)
    def test_no_target(self, ask, target):
        status, headers, body = ask(target)
        assert (status, body) == (400, b"400 Bad Request\n")
        assert headers["connection"] == "close"

    @given(
        parts=st.lists(
            st.sampled_from(
                ["/", "..", ".", "%2e", "%2f", "\\", "%5c", "served", "secret", "leaves-folder", "os", "http://x", "%"]
            ),
            max_size=8,
        )
    )
    @settings(max_examples=300, derandomize=True, deadline=None)
    def test_whatever_is_asked_stays_inside(self, parts, tmp_path_factory):
        folder = tmp_path_factory.getbasetemp() / "stays-inside"
        if not folder.exists():
            (folder / "served/os").mkdir(parents=True)
            (folder / "secret").write_bytes(SECRET)
            (folder / "served/secret").write_bytes(b"inside")
            (folder / "served/leaves-folder").symlink_to("..")
        inside = {
            (status.st_dev, status.st_ino)
            for path in (folder / "served", folder / "served/os", folder / "served/secret")
            for status in [path.stat()]
        }
        with contextlib.suppress(RefusedError):
            descriptor, status = Jail(folder / "served").open(Target.parse("".join(parts)).names)
            os.close(descriptor)
            assert (status.st_dev, status.st_ino) in inside

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"POST /unix HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"DELETE /unix HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"__class__ /unix HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"GET /unix\r\n\r\n", 400),
            (b"GET /unix HTTP/1.1\r\n\r\n", 400),
            (b"GET /unix HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
            (b"GET /unix HTTP/9.9\r\nHost: x\r\n\r\n", 505),
            (b"GET /unix HTTP/1.x\r\nHost: x\r\n\r\n", 400),
            (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello \r\n\r\n", 400),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            (b"GET /unix HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        ],
    )
    def test_bad_requests(self, answer, request_, status):
        found, headers, body = answer(request_)
        assert found == status
        assert headers["connection"] == "close"
        assert len(body) == int(headers["content-length"])
        assert ("allow" in headers) == (status == 405)

    @pytest.mark.parametrize(
        "lines",
        [
            b"X : y",
            b"X\t: y",
            b" X: y",
            b"X: y\r\n folded",
            b"X: y\r\n\tfolded",
            b"X: y\n folded",
            b"no colon",
            b": no name",
            b"X: a\0b",
            b"X\0: y",
            b"X: a\rb",
            b"X\x80: y",
            b"(X): y",
            b"Content-Length: 1\r\nContent-Length: 2",
            b"Content-Length: -1",
            b"Content-Length: 1, 2",
            b"Content-Length: 0x1",
        ],
    )
    def test_headers_as_rfc_9112_has_them(self, raw, lines):
        """What a proxy in front could read in another way is refused, and nothing behind it is answered."""
        following = b"GET /os/platform/boot_archive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for before in (b"", b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"):
            data = raw(before + b"GET /unix HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n\r\n" + following)
            last = data[data.rindex(b"HTTP/1.1 ") :]
            assert last.startswith(b"HTTP/1.1 400 ")
            assert b"\r\nConnection: close\r\n" in last
            assert b"archive" not in data

    def test_lines_within_a_value_of_a_body_are_no_headers(self, raw):
        body = b"a\r\n b"
        data = raw(b"GET /empty HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert data.startswith(b"HTTP/1.1 200 ")

    @pytest.mark.parametrize(
        "data",
        [
            b"GET /" + b"a" * 200_000,
            b"GET /unix HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000,
            b"GET /unix HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100_000,
        ],
    )
    def test_oversized(self, connect, data):
        connection = connect()
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(1000)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 414"))

    def test_a_body_is_not_the_next_request(self, raw):
        hidden = b"GET /os/platform/boot_archive HTTP/1.1\r\nHost: x\r\n\r\n"
        for head in (b"Content-Length: %d" % len(hidden), b"Transfer-Encoding: chunked"):
            data = raw(b"GET /empty HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + hidden)
            assert data.count(b"HTTP/1.1 ") == 1
            assert b"archive" not in data

    def test_the_log_shows_no_control_characters(self, raw, capfd):
        raw(b"GET /\x1b[2J\x07\x9b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        log = capfd.readouterr().err
        assert "\\x1b[2J\\x07\\x9b" in log
        assert "\x1b" not in log

    def test_a_link_made_between_looking_and_opening(self, top, monkeypatch):
        real = jail._open_in

        def swap(folder, name):
            if name == b"boot_archive":
                path = top / "os/platform/boot_archive"
                path.unlink()
                path.symlink_to(top.parent / "secret")
            return real(folder, name)

        monkeypatch.setattr(jail, "_open_in", swap)
        with pytest.raises(RefusedError):
            Jail(top).open([b"os", b"platform", b"boot_archive"])

    def test_a_link_made_between_the_last_look_and_the_opening(self, top, monkeypatch):
        real = jail._check_kind

        def swap(status):
            real(status)
            path = top / "os/platform/boot_archive"
            if path.stat().st_ino == status.st_ino and not path.is_symlink():
                path.unlink()
                path.symlink_to(top / "unix")

        monkeypatch.setattr(jail, "_check_kind", swap)
        with pytest.raises(RefusedError) as caught:
            Jail(top).open([b"os", b"platform", b"boot_archive"])
        assert caught.value.status == 404

    def test_a_folder_that_becomes_a_link(self, top, monkeypatch):
        real = jail._open_in

        def swap(folder, name):
            if name == b"platform":
                (top / "os/platform").rename(top / "os/moved")
                (top / "os/platform").symlink_to(top.parent)
            return real(folder, name)

        monkeypatch.setattr(jail, "_open_in", swap)
        (top / "os/platform/secret").write_bytes(b"inside")
        with pytest.raises(RefusedError):
            Jail(top).open([b"os", b"platform", b"secret"])

    def test_no_descriptor_is_lost(self, top):
        if not Path("/proc/self/fd").exists():
            pytest.skip("needs /proc")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for names in ([b"leaves"], [b"pipe"], [b"os", b"nowhere"], [b"unix", b"x"], [b"endless"], [b"a" * 300]):
            with pytest.raises(RefusedError):
                Jail(top).open(names)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_what_may_not_be_read(self, top):
        if os.geteuid() == 0:
            pytest.skip("root may read all")
        (top / "unix").chmod(0)
        with pytest.raises(RefusedError) as caught:
            Jail(top).open([b"unix"])
        assert caught.value.status == 403

    def test_a_replaced_folder_is_seen(self, ask, top):
        top.rename(top.parent / "old")
        assert ask("/unix")[0] == 404
        top.mkdir()
        (top / "unix").write_bytes(b"new")
        assert ask("/unix")[2] == b"new"
