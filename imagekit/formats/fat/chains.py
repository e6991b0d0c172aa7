"""Follows the chains of clusters in a table that may be damaged: every cluster is used once, or it is an error."""

import sys
from array import array
from collections.abc import Iterator

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats.fat.boot_sector import BootSector
from imagekit.formats.fat.layout import CLEAN_BITS, FIRST_CLUSTER

_PAGE = 16384  # table entries that are read, and clusters that are noted, at a time
_KEPT_PAGES = 256  # 16 MiB of table
_LOW_28_BITS = int.from_bytes(b"\xff\xff\xff\x0f" * _PAGE, "little")
_LONGEST_STEP = 4096  # table entries compared at once

Run = tuple[int, int]
"""(first cluster, number of neighbouring clusters)."""


class Chains:
    """The table of a file system, and which of its clusters are taken."""

    def __init__(self, content: Content, boot: BootSector, image: str) -> None:
        geometry = boot.geometry
        self._content = content
        self._kind = geometry.kind
        self._offset = geometry.fat_offset(boot.active_fat)
        self._last = geometry.last_cluster
        self._bad = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}[geometry.kind]
        self._image = image
        self._pages: dict[int, array[int]] = {}
        self._taken: dict[int, bytearray] = {}
        self._owners: list[tuple[str, list[Run]]] = []

    @property
    def clean(self) -> bool:
        """Whether the file system was unmounted cleanly and no disk error was seen."""
        bits = CLEAN_BITS[self._kind]
        return self._entry(1) & bits == bits

    @property
    def used_clusters(self) -> int:
        """How many clusters belong to the chains followed so far."""
        return sum(count for _, runs in self._owners for _, count in runs)

    def follow(self, first: int, most: int, path: str) -> list[Run]:
        """Return the runs of the chain that starts at cluster `first` and belongs to `path`.

        Raise FormatError when it leaves the file system, meets itself or another chain, or has more than `most`
        clusters.
        """
        runs: list[Run] = []
        self._owners.append((path, runs))
        cluster, total = first, 0
        while cluster <= self._bad or not runs:
            if not FIRST_CLUSTER <= cluster <= self._last:
                raise self._broken(path, runs, cluster)
            count, after = self._run(cluster, most - total + 1)
            self._take(cluster, count, path)
            runs.append((cluster, count))
            total += count
            if total > most:
                raise FormatError(
                    f"its chain of clusters, from {first}, has more than the {most:,} that it may have",
                    where=self._where(path),
                )
            cluster = after
        return runs

    def _broken(self, path: str, runs: list[Run], cluster: int) -> FormatError:
        if cluster == self._bad:
            found = "one that is marked as bad"
        elif runs and cluster == 0:
            found = "a free one"
        else:
            found = f"number {cluster:,}; there are {FIRST_CLUSTER} to {self._last:,}"
        after = f"cluster {sum(runs[-1]) - 1:,} leads to" if runs else "its first cluster is"
        return FormatError(f"its chain of clusters is broken: {after} {found}", where=self._where(path))

    def _where(self, path: str) -> str:
        return f"{self._image}!/{path}"

    def _run(self, cluster: int, most: int) -> tuple[int, int]:
        """Return how many neighbours (at most `most`) are chained from `cluster` on, and what follows the last one."""
        count, step = 1, 1
        while True:
            at = cluster + count - 1
            if count >= most or at >= self._last:
                return count, self._entry(at)
            page, index = self._page(at // _PAGE), at % _PAGE
            # Long runs are compared in ever longer steps, short ones entry by entry.
            step = min(step, most - count, self._last - at, len(page) - index)
            if page[index : index + step] == array("I", range(at + 1, at + 1 + step)):
                count += step
                step = min(2 * step, _LONGEST_STEP)
            elif step > 1:
                step = 1
            else:
                return count, page[index]

    def _entry(self, cluster: int) -> int:
        return self._page(cluster // _PAGE)[cluster % _PAGE]

    def _page(self, number: int) -> "array[int]":
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= _KEPT_PAGES:
                del self._pages[next(iter(self._pages))]
            page = self._pages[number] = self._load(number * _PAGE)
        return page

    def _load(self, first: int) -> "array[int]":
        count = min(_PAGE, self._last + 1 - first)
        bits = self._kind
        start, stop = first * bits // 8, -(-(first + count) * bits // 8)
        data = self._content.read(self._offset + start, stop - start)
        if bits == 32:
            data = (int.from_bytes(data, "little") & _LOW_28_BITS).to_bytes(len(data), "little")
            page = array("I", data)
            if sys.byteorder == "big":
                page.byteswap()
            return page
        if bits == 16:
            short = array("H", data)
            if sys.byteorder == "big":
                short.byteswap()
            return array("I", short)
        return array("I", _twelve_bits(data, count))

    def _take(self, cluster: int, count: int, path: str) -> None:
        while count:
            number, start = divmod(cluster, _PAGE)
            stop = min(start + count, _PAGE)
            page = self._taken.get(number)
            if page is None:
                page = self._taken[number] = bytearray(_PAGE)
            if (taken := page.find(1, start, stop)) >= 0:
                raise self._crossed(number * _PAGE + taken, path)
            page[start:stop] = b"\1" * (stop - start)
            cluster += stop - start
            count -= stop - start

    def _crossed(self, cluster: int, path: str) -> FormatError:
        holders = (
            owner for owner, runs in self._owners if any(first <= cluster < first + count for first, count in runs)
        )
        owner = next(holders, path)
        if owner == path:
            found = f"its chain of clusters runs in a circle: it comes back to {cluster:,}"
        else:
            found = f"its chain of clusters meets that of /{owner} in cluster {cluster:,}"
        return FormatError(found, where=self._where(path))


def _twelve_bits(data: bytes, count: int) -> Iterator[int]:
    for index in range(count):
        pair = int.from_bytes(data[index * 3 // 2 : index * 3 // 2 + 2], "little")
        yield pair >> 4 if index & 1 else pair & 0xFFF
