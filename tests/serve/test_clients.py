"""Many clients of `imagekit serve` at once, slow ones among them; its start and its end."""

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import zlib
from pathlib import Path

import pytest

from imagekit.errors import InputError
from imagekit.serve import Server, client, server
from kit.command import IMAGEKIT
from kit.work import until


class TestManyClients:
    def test_parallel_downloads_with_flat_memory(self, tmp_path):
        """Forty clients take a file of 30 MB at once, beside clients that do nothing or stop reading."""
        size, clients = 30_000_000, 40
        folder = tmp_path / "served"
        folder.mkdir()
        block = os.urandom(1_000_000)
        with (folder / "archive").open("wb") as file:
            for _ in range(size // len(block)):
                file.write(block)
        expected = zlib.crc32((folder / "archive").read_bytes())
        with started(folder) as (process, port, _):
            peak = memory(process.pid)
            with contextlib.ExitStack() as stack:
                for request in (b"", b"GET /arch", b"GET /archive HTTP/1.1\r\nHost: x\r\n\r\n"):
                    stalled = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    stalled.sendall(request)
                results = []

                def fetch():
                    with socket.create_connection(("127.0.0.1", port)) as connection:
                        connection.sendall(b"GET /archive HTTP/1.0\r\n\r\n")
                        data = b""
                        while b"\r\n\r\n" not in data:
                            data += connection.recv(65536)
                        data = data.partition(b"\r\n\r\n")[2]
                        crc, count = zlib.crc32(data), len(data)
                        while data := connection.recv(1 << 18):
                            crc, count = zlib.crc32(data, crc), count + len(data)
                        results.append((count, crc))

                threads = [threading.Thread(target=fetch) for _ in range(clients)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert results == [(size, expected)] * clients
            assert memory(process.pid) - peak < size

    def test_too_many_are_turned_away(self, top, monkeypatch):
        monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
        with Server(top, port=0) as running, contextlib.ExitStack() as stack:
            thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            connections = []
            for _ in range(2):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
                one.sendall(b"GET /empty HTTP/1.1\r\nHost: x\r\n\r\n")
                assert one.recv(1000).startswith(b"HTTP/1.1 200")
                connections.append(one)
            third = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            assert third.recv(1000).startswith(b"HTTP/1.1 503")
            connections[0].close()

            def served():
                with (
                    contextlib.suppress(ConnectionError),
                    socket.create_connection(("127.0.0.1", running.port)) as one,
                ):
                    one.sendall(b"GET /empty HTTP/1.0\r\n\r\n")
                    return one.recv(1000).startswith(b"HTTP/1.1 200")

            until(served)  # when the server has noticed
            running.shutdown()
            thread.join()

    def test_a_request_that_does_not_come_is_given_up(self, connect, monkeypatch):
        monkeypatch.setattr(client, "REQUEST_SECONDS", 0.3)
        silent, trickling = connect(), connect()
        gone = threading.Event()

        def trickle():
            with contextlib.suppress(ConnectionError):
                while not gone.wait(0.05):
                    trickling.sendall(b"G")

        thread = threading.Thread(target=trickle)
        thread.start()
        with contextlib.suppress(ConnectionError):
            assert silent.recv(100) == b""
            assert trickling.recv(100) == b""
        gone.set()
        thread.join()

    def test_the_time_is_over_when_a_byte_comes_too_late(self, connect, monkeypatch, capfd):
        now = itertools.chain([0.0, 0.0], itertools.repeat(client.REQUEST_SECONDS + 1))
        monkeypatch.setattr(client.time, "monotonic", lambda: next(now))
        connection = connect()
        connection.sendall(b"GET /unix HTTP/1.1\r\n")
        assert connection.recv(100) == b""
        assert capfd.readouterr().err == ""

    def test_a_client_that_takes_nothing_is_given_up(self, connect, top, monkeypatch, capfd):
        monkeypatch.setattr(client, "SEND_SECONDS", 0.3)
        with (top / "large").open("wb") as file:
            file.truncate(64 << 20)
        connection = connect()
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        log = []
        until(lambda: log.append(capfd.readouterr().err) or "large" in "".join(log))
        assert "of 67,108,864 bytes" in "".join(log)


@contextlib.contextmanager
def started(folder, *arguments):
    """Start the program; yield the process, its port and its first line."""
    process = subprocess.Popen(
        [*IMAGEKIT, "serve", str(folder), "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline()
        yield process, int(re.search(r":(\d+)/", first)[1]), first
    finally:
        process.kill()
        process.communicate()


def memory(pid):
    """Return the most bytes of memory that a process had so far."""
    path = Path(f"/proc/{pid}/status")
    if not path.exists():
        pytest.skip("needs /proc")
    return int(re.search(r"VmHWM:\s+(\d+) kB", path.read_text())[1]) * 1024


class TestCommand:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_cleanly(self, top, number):
        with started(top) as (process, port, first):
            assert first.startswith(f"http://127.0.0.1:{port}/  serves {top}")
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET /unix HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
                process.send_signal(number)
                out, err = process.stdout.read(), process.stderr.read()  # both are short
                process.wait()
            assert process.returncode == 0
            assert "imagekit: stopped" in err.splitlines()  # the line about the request may come behind it
            assert "Traceback" not in err
            assert f"chain http://127.0.0.1:{port}/smartos.ipxe" in out
            assert f"bootfile=http://10.0.2.2:{port}/smartos.ipxe" in out

    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            Server(tmp_path / "absent", port=0)

    def test_taken_port(self, top, serving):
        with pytest.raises(InputError, match="cannot listen") as caught:
            Server(top, port=serving.port)
        assert "«port» 0" in caught.value.hint

    def test_no_address(self, top):
        with pytest.raises(InputError, match="cannot listen on no such"):
            Server(top, "no such", 0)

    def test_every_address(self, top):
        with Server(top, "0.0.0.0", 0) as running:  # noqa: S104 - only for a moment, and nothing is served
            lines = list(server.advice(running, top))
        assert not any("0.0.0.0" in line for line in lines)  # noqa: S104
        assert any("http://10.0.2.2:" in line for line in lines)
        assert not any("only this computer" in line for line in lines)

    def test_nothing_to_chain_to(self, top):
        (top / "smartos.ipxe").unlink()
        with Server(top, port=0) as running:
            assert not any("iPXE" in line for line in server.advice(running, top))
