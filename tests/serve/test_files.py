"""What `imagekit serve` sends: files, and lists of folders."""

import email.utils
import os
import re

import pytest

DATA = bytes(range(256)) * 400


class TestFiles:
    def test_whole(self, ask, top):
        status, headers, body = ask("/unix")
        assert (status, body) == (200, DATA)
        assert headers["content-length"] == str(len(DATA))
        assert headers["accept-ranges"] == "bytes"
        assert headers["content-type"] == "application/octet-stream"
        modified = email.utils.parsedate_to_datetime(headers["last-modified"])
        assert modified.timestamp() == int((top / "unix").stat().st_mtime)

    @pytest.mark.parametrize(
        ("target", "body"),
        [
            ("/empty", b""),
            ("/os/platform/boot_archive", b"archive"),
            ("//os//./platform/boot_archive", b"archive"),
            ("/inner/boot_archive", b"archive"),
            ("/inner-file", DATA),
            ("/unix?query=/../x", DATA),
            ("http://other.example:99/unix", DATA),
            ("HTTP://[::1]/unix?x", DATA),
            ("/%75ni%78", DATA),
            ("/50%25%20%26%20%3Cb%3E%20%C3%BC.txt", b"odd name"),
            ("/back%5Cslash", b"one name"),
            ("/back\\slash", b"one name"),
            ("/not%20utf-8%20%FF", b"bytes"),
        ],
    )
    def test_names(self, ask, target, body):
        status, _, found = ask(target)
        assert (status, found) == (200, body)

    def test_head_sends_no_body(self, ask):
        status, headers, body = ask("/unix", method="HEAD")
        assert (status, headers["content-length"], body) == (200, str(len(DATA)), b"")
        status, headers, body = ask("/nowhere", method="HEAD")
        assert (status, body) == (404, b"")
        assert ask("/unix", "Range: bytes=0-0", method="HEAD")[0] == 200

    def test_many_requests_of_one_connection(self, raw):
        request = b"GET /os/platform/boot_archive HTTP/1.1\r\nHost: x\r\n\r\n"
        missing = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        last = b"HEAD /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        data = raw(request + missing + request * 3 + last)
        assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"404", b"200", b"200", b"200", b"200"]
        assert data.count(b"archive") == 4

    def test_http_1_0_closes(self, answer):
        status, _, body = answer(b"GET /os/platform/boot_archive HTTP/1.0\r\n\r\n")
        assert (status, body) == (200, b"archive")

    def test_a_file_that_becomes_shorter_ends_the_connection(self, connect, top):
        size = 64 << 20  # more than the sockets hold
        path = top / "shrinks"
        with path.open("wb") as file:
            file.truncate(size)
        connection = connect()
        connection.sendall(b"GET /shrinks HTTP/1.1\r\nHost: x\r\n\r\n")
        found = len(connection.recv(1000))
        os.truncate(path, 1)
        while data := connection.recv(1 << 20):
            found += len(data)
        assert found < size


class TestFolders:
    def test_list(self, ask):
        status, headers, body = ask("/")
        assert status == 200
        assert headers["content-type"].startswith("text/html")
        links = re.findall(rb'href="([^"]*)"', body)
        assert links[:4] == [
            b"./50%25%20%26%20%3Cb%3E%20%C3%BC.txt",
            b"./back%5Cslash",
            b"./dangling",
            b"./empty",
        ]
        assert b"./not%20utf-8%20%FF" in links
        assert b"./os/" in links
        assert not {b"./pipe", b"./socket", b"./.hidden"} & set(links)
        assert b"50% &amp; &lt;b&gt; \xc3\xbc.txt" in body
        assert b"<b>" not in body

    def test_a_folder_has_a_slash(self, ask):
        status, headers, _ = ask("/os")
        assert (status, headers["location"]) == (301, "/os/")
        assert ask("/os/")[0] == 200
        assert ask("/unix/")[0] == 404

    def test_no_redirection_to_another_host(self, ask, top):
        (top / "evil.example").mkdir()
        for target in ("//evil.example", "///evil.example", "http://x//evil.example"):
            status, headers, _ = ask(target)
            assert (status, headers["location"]) == (301, "/evil.example/")
