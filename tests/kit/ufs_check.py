"""A consistency checker for illumos UFS, written from the description of the format alone.

It shares no code with imagekit: every bitmap, sum and link count is found again from the inodes and directories, and
every disagreement is reported as "code: what".  It is stricter than fsck: it also wants cg_frsum, every copy of the
superblock, the two owner fields, zero padding and the absence of holes to be right.
"""

import struct
from collections import Counter, defaultdict

SUPERBLOCK_AT = 8192
SUPERBLOCK_LENGTH = 1380
HEAD = (  # 32-bit fields from byte 0 on
    "link rolled sblkno cblkno iblkno dblkno cgoffset cgmask time size dsize ncg bsize fsize frag minfree rotdelay rps "
    "bmask fmask bshift fshift maxcontig maxbpg fragshift fsbtodb sbsize csmask csshift nindir inopb nspf optim state "
    "si trackskew id0 id1 csaddr cssize cgsize ntrak nsect spc ncyl cpg ipg fpg ndir nbfree nifree nffree"
)
TAIL = (  # 32-bit fields from byte 1320 on
    "version logbno reclaim sparecon2 npsect qbmask qbmask_high qfmask qfmask_high postblformat nrpos postbloff "
    "rotbloff magic"
)
FIELDS = {
    **{name: 4 * index for index, name in enumerate(HEAD.split())},
    "cgrotor": 724,
    "cpc": 856,
    **{name: 1320 + 4 * index for index, name in enumerate(TAIL.split())},
}
ZEROS = (
    "link rolled rotdelay si trackskew id0 id1 cgrotor cpc version logbno reclaim sparecon2 qbmask_high qfmask_high "
    "postbloff rotbloff"
)
FILE, FOLDER, LINK, FIFO, SOCKET, CHARACTER, BLOCK = 0o10, 0o4, 0o12, 0o1, 0o14, 0o2, 0o6


def up(number, unit):
    return (number + unit - 1) // unit * unit


def is_zero(data):
    return data.count(0) == len(data)


class Checker:
    def __init__(self, image):
        self.image = image
        self.found = []
        self.s = {}

    def say(self, code, what):
        self.found.append(f"{code}: {what}")

    def expect(self, code, name, is_, should):
        if is_ != should:
            self.say(code, f"{name} is {is_}, should be {should}")

    def numbers(self, offset, form):
        return struct.unpack_from("<" + form, self.image, offset)

    def run(self):
        if len(self.image) < SUPERBLOCK_AT + SUPERBLOCK_LENGTH:
            self.say("sizes", f"an image of {len(self.image)} bytes has no superblock")
            return self.found
        if not self.superblock():
            return self.found
        self.copies()
        s = self.s
        self.owner = [0] * s["size"]  # of each fragment; -1 is metadata
        for group in range(s["ncg"]):
            start = group * s["fpg"]
            first = start + s["sblkno"] if group else 0
            last = start + s["dblkno"]
            if not group:
                last += up(s["cssize"], s["fsize"]) // s["fsize"]
            self.owner[first:last] = [-1] * (last - first)
        self.modes = {}
        self.link_counts = {}
        self.parents = {}
        self.folders = {}
        self.large = False
        for number in range(s["ncg"] * s["ipg"]):
            self.inode(number)
        self.tree()
        self.groups()
        self.expect("flags", "fs_flags", self.image[SUPERBLOCK_AT + 211], int(self.large))
        self.unused()
        return self.found

    # --- superblock ---------------------------------------------------------------------------------------------------

    def superblock(self):
        s = self.s = {name: self.numbers(SUPERBLOCK_AT + at, "i")[0] for name, at in FIELDS.items()}
        if s["magic"] != 0x011954:
            self.say("magic", f"{s['magic']:#x}")
            return False
        if s["bsize"] not in (4096, 8192) or s["fsize"] not in (512, 1024, 2048, 4096, 8192):
            self.say("sizes", f"block {s['bsize']}, fragment {s['fsize']}")
            return False
        bsize, fsize = s["bsize"], s["fsize"]
        if s["frag"] not in (1, 2, 4, 8) or s["frag"] * fsize != bsize:
            self.say("sizes", f"{s['frag']} fragments of {fsize} in a block of {bsize}")
            return False
        frag, nspf, inopb = s["frag"], fsize // 512, bsize // 128
        disk_cylinders = max(len(self.image) // (102400 if len(self.image) < 2 << 20 else 307200), 1)
        nsect = len(self.image) // (disk_cylinders * 512)
        sblkno = up(16384 // fsize + (16384 % fsize > 0), frag)
        cblkno = sblkno + up(-(-8192 // fsize), frag)
        cpg, ipg = s["cpg"], s["ipg"]
        if cpg < 1 or ipg < 1 or ipg % inopb or ipg > up(-(-bsize * 8 // 3), inopb) or s["spc"] != nsect:
            self.say("groups", f"cpg {cpg}, ipg {ipg}, spc {s['spc']} (the disk has {nsect})")
            return False
        size = disk_cylinders * nsect // nspf
        ncyl = -(-size * nspf // nsect)
        ncg = -(-ncyl // cpg)
        fpg = cpg * nsect // nspf
        dblkno = cblkno + frag + ipg // (inopb // frag)
        last = size - (ncg - 1) * fpg
        if last < fpg and last < dblkno:
            ncg -= 1
            ncyl = ncg * cpg
            size = ncyl * nsect // nspf
        cssize = up(ncg * 16, fsize)
        dsize = sum(min(fpg, size - group * fpg) - dblkno for group in range(ncg)) + (ncg - 1) * sblkno
        self.boff = 168 + 4 * cpg
        self.iusedoff = self.boff + 16 * cpg
        self.freeoff = self.iusedoff + -(-ipg // 8)
        self.nextfreeoff = self.freeoff + -(-(cpg * nsect // nspf) // 8)
        right = {
            "sblkno": sblkno, "cblkno": cblkno, "iblkno": cblkno + frag, "dblkno": dblkno,
            "cgoffset": up(-(-nsect // nspf), frag), "cgmask": -1, "size": size, "dsize": dsize - cssize // fsize,
            "ncg": ncg, "rps": 120, "bmask": -bsize, "fmask": -fsize, "bshift": bsize.bit_length() - 1,
            "fshift": fsize.bit_length() - 1, "maxcontig": 8192 // bsize, "maxbpg": bsize // 4,
            "fragshift": frag.bit_length() - 1, "fsbtodb": nspf.bit_length() - 1, "sbsize": up(1380, fsize),
            "csmask": -(bsize // 16), "csshift": (bsize // 16).bit_length() - 1, "nindir": bsize // 4, "inopb": inopb,
            "nspf": nspf, "csaddr": dblkno, "cssize": cssize,
            "cgsize": up(172 + 20 * cpg + -(-ipg // 8) + -(-(cpg * nsect // nspf) // 8), fsize),
            "ntrak": 1, "nsect": nsect, "ncyl": ncyl, "fpg": fpg, "npsect": nsect, "qbmask": bsize - 1,
            "qfmask": fsize - 1, "postblformat": 1, "nrpos": 8,
        }  # fmt: skip
        before = len(self.found)
        for name, value in right.items():
            self.expect("superblock", f"fs_{name}", s[name], value)
        fatal = len(self.found) > before
        for name in ZEROS.split():
            self.expect("superblock", f"fs_{name}", s[name], 0)
        if not 0 <= s["minfree"] <= 99 or s["optim"] not in (0, 1):
            self.say("superblock", f"fs_minfree {s['minfree']}, fs_optim {s['optim']}")
        if fpg % frag or s["cgsize"] > bsize:
            self.say("superblock", "groups are no whole number of blocks, or their header is longer than one")
            fatal = True
        if (s["state"] + s["time"]) % 2**32 != 0x7C269D38:
            self.say("state", f"fs_state {s['state']:#x} with fs_time {s['time']}")
        self.expect("clean", "fs_clean", self.image[SUPERBLOCK_AT + 209], 1)
        for at in (208, 210):
            self.expect("superblock", f"the byte at {at}", self.image[SUPERBLOCK_AT + at], 0)
        for at, end in ((728, 856), (860, 1320), (1376, 8192)):
            if not is_zero(self.image[SUPERBLOCK_AT + at : SUPERBLOCK_AT + end]):
                self.say("superblock", f"bytes {at}..{end} are not zero")
        if not is_zero(self.image[:SUPERBLOCK_AT]):
            self.say("boot area", "bytes 0..8191 are not zero")
        return not fatal

    def copies(self):
        s = self.s
        first = self.image[SUPERBLOCK_AT : SUPERBLOCK_AT + 8192]
        for group in range(s["ncg"]):
            at = (group * s["fpg"] + s["sblkno"]) * s["fsize"]
            if self.image[at : at + 8192] != first:
                self.say("copy", f"the superblock of group {group} differs from the first")

    # --- inodes -------------------------------------------------------------------------------------------------------

    def inode(self, number):
        s = self.s
        group, index = divmod(number, s["ipg"])
        at = (group * s["fpg"] + s["iblkno"]) * s["fsize"] + index * 128
        mode, links, suid, sgid, size = self.numbers(at, "HhHHQ")
        times = self.numbers(at + 16, "6i")
        pointers = self.numbers(at + 40, "15i")
        flags, sectors, _gen, shadow, uid, gid, attributes = self.numbers(at + 100, "4i3I")
        if not mode:
            if size or any(pointers) or links or sectors:
                self.say("free inode", f"{number} is not empty")
            return
        kind = mode >> 12
        if number < 2:
            self.say("reserved inode", f"{number} is allocated")
        if kind not in (FILE, FOLDER, LINK, FIFO, SOCKET, CHARACTER, BLOCK):
            self.say("type", f"inode {number} has mode {mode:o}")
            return
        self.modes[number] = kind
        self.link_counts[number] = links
        if not 1 <= links <= 32767:
            self.say("links", f"inode {number} has {links}")
        if suid != min(uid, 65535) or sgid != min(gid, 65535):
            self.say("owner", f"inode {number}: {suid}:{sgid} beside {uid}:{gid}")
        if any(not 0 <= microseconds <= 999999 for microseconds in times[1::2]):
            self.say("time", f"inode {number} has {times}")
        if flags or shadow or attributes:
            self.say("inode flags", f"inode {number}: {flags} {shadow} {attributes}")
        if kind in (FIFO, SOCKET, CHARACTER, BLOCK):
            device = pointers[1] if kind in (CHARACTER, BLOCK) else 0
            if size or sectors or any(pointers[:1] + pointers[2:]) or pointers[1] != device:
                self.say("special", f"inode {number} has data")
            return
        if kind == LINK and not 1 <= size <= 1023:
            self.say("link", f"inode {number} has {size} bytes")
        if kind == FILE and size > 2**31 - 1:
            self.large = True
        if kind == FOLDER and (size == 0 or size % 512):
            self.say("directory size", f"inode {number} has {size} bytes")
        self.data(number, kind, size, pointers, sectors)

    def data(self, number, kind, size, pointers, sectors):
        s = self.s
        bsize, fsize, frag, nindir = s["bsize"], s["fsize"], s["frag"], s["nindir"]
        blocks = -(-size // bsize)
        if blocks > 12 + nindir + nindir**2 + nindir**3 or blocks > 2 * s["size"]:
            self.say("size", f"inode {number} has {size} bytes")
            return
        addresses = list(pointers[:12])
        self.held = 0
        for level, pointer in enumerate(pointers[12:], 1):
            self.indirect(number, level, pointer, blocks, addresses)
        if any(addresses[blocks:]):
            self.say("past end", f"inode {number} has addresses after block {blocks}")
        parts = []
        for block, address in enumerate(addresses[:blocks]):
            count = frag
            if block < 12 and size < (block + 1) * bsize:
                count = -(-(size - block * bsize) // fsize)
            if address == 0:
                self.say("hole", f"inode {number}, block {block}")
            there = address != 0 and self.claim(number, address, count)
            if kind == FOLDER or block == blocks - 1:
                first = address * fsize
                parts.append(self.image[first : first + count * fsize] if there else bytes(count * fsize))
        if sectors != self.held * fsize // 512:
            self.say("blocks", f"inode {number} says {sectors} sectors, holds {self.held * fsize // 512}")
        if kind == FOLDER:
            data = b"".join(parts)
            self.folders[number] = data[:size]
        elif parts:
            tail = parts[-1]
            end = size - (blocks - 1) * bsize
            if not is_zero(tail[end:]):
                self.say("tail", f"inode {number} has bytes after its end")
            if kind == LINK and b"\0" in tail[:end]:
                self.say("link", f"inode {number} has a NUL in its target")

    def indirect(self, number, level, pointer, blocks, addresses):
        nindir = self.s["nindir"]
        needed = blocks > len(addresses)
        if not pointer:
            if needed:
                self.say("hole", f"inode {number} lacks blocks of addresses from block {len(addresses)}")
                addresses += [0] * min(nindir**level, blocks - len(addresses))
            return
        if not needed:
            self.say("past end", f"inode {number} has a block of addresses {pointer} that it does not need")
            return
        if not self.claim(number, pointer, self.s["frag"]):
            addresses += [0] * min(nindir**level, blocks - len(addresses))
            return
        inner = self.numbers(pointer * self.s["fsize"], f"{nindir}i")
        if level == 1:
            addresses += inner
        else:
            for each in inner:
                self.indirect(number, level - 1, each, blocks, addresses)

    def claim(self, number, address, count):
        frag = self.s["frag"]
        if address < 0 or address + count > self.s["size"]:
            self.say("range", f"inode {number} holds fragments {address}+{count}")
            return False
        if address % frag + count > frag:
            self.say("crossing", f"inode {number} holds {count} fragments from {address}, over a block's boundary")
            return False
        self.held += count
        for fragment in range(address, address + count):
            if self.owner[fragment] == -1:
                self.say("metadata", f"inode {number} holds {fragment}, which is metadata")
            elif self.owner[fragment]:
                self.say("double", f"inodes {self.owner[fragment]} and {number} both hold {fragment}")
            else:
                self.owner[fragment] = number
        return True

    # --- directories --------------------------------------------------------------------------------------------------

    def entries(self, number, data):
        """Return [(position, inode, record length, name)] of a directory, unused entries left out."""
        result = []
        for chunk in range(0, len(data), 512):
            at, end = chunk, min(chunk + 512, len(data))
            while at < end:
                if end - at < 8:
                    self.say("chain", f"directory {number}: {end - at} bytes are left for a record at {at}")
                    break
                inode, record, length = struct.unpack_from("<IHH", data, at)
                least = 8 + up(length + 1, 4) if inode else 12
                if record % 4 or record < least or at + record > end:
                    self.say("chain", f"directory {number}: record of {record} for a name of {length} at {at}")
                    break
                if inode:
                    name = data[at + 8 : at + 8 + length]
                    if not 1 <= length <= 255 or b"\0" in name or b"/" in name:
                        self.say("name", f"directory {number}: {name!r}")
                    if not is_zero(data[at + 8 + length : at + least]):
                        self.say("padding", f"directory {number}: {name!r} is not followed by NULs")
                    result.append((at, inode, record, name))
                elif at != chunk or record != 512 or length:
                    self.say("unused entry", f"directory {number} at {at}: {record} bytes, name of {length}")
                at += record
        return result

    def tree(self):
        s = self.s
        references = Counter()
        children = defaultdict(list)
        dots = {}
        for number, data in self.folders.items():
            rows = self.entries(number, data)
            two = rows[:2]
            if [row[3] for row in two] != [b".", b".."] or two[1][0] != 12:
                self.say("dots", f"directory {number} does not begin with . and ..")
                rows = [row for row in rows if row[3] not in (b".", b"..")]
            else:
                self.expect("dots", f"the record of . in {number}", two[0][2], 12)
                follows = len(rows) > 2 and rows[2][0] < 512
                self.expect("dots", f"the record of .. in {number}", two[1][2], 12 if follows else 500)
                self.expect("dots", f". of {number}", two[0][1], number)
                dots[number] = two[1][1]
                references[two[0][1]] += 1
                references[two[1][1]] += 1
                rows = rows[2:]
            names = Counter(row[3] for row in rows)
            if any(count > 1 for count in names.values()) or b"." in names or b".." in names:
                self.say("names", f"directory {number} has a name twice, or . or .. among the others")
            for _, inode, _, name in rows:
                if inode not in self.modes:
                    self.say("dangling", f"{name!r} in {number} leads to inode {inode}, which is free")
                    continue
                references[inode] += 1
                if inode in self.folders or self.modes[inode] == FOLDER:
                    children[number].append(inode)
                    if inode in self.parents:
                        self.say("two parents", f"directory {inode} is in {self.parents[inode]} and in {number}")
                    self.parents[inode] = number
        if 2 not in self.folders:
            self.say("root", "inode 2 is no directory")
        reached, stack = {2}, [2]
        while stack:
            for child in children[stack.pop()]:
                if child not in reached:
                    reached.add(child)
                    stack.append(child)
        for number, parent in dots.items():
            self.expect("parent", f".. of {number}", parent, 2 if number == 2 else self.parents.get(number, 0))
        for number in self.folders:
            if number not in reached:
                self.say("unreachable", f"directory {number}")
        for number, links in self.link_counts.items():
            if not references[number]:
                self.say("unreferenced", f"inode {number}")
            elif references[number] != links:
                self.say("links", f"inode {number} has {links}, {references[number]} entries lead to it")
        lost = next((row for row in self.entries(2, self.folders.get(2, b"")) if row[3] == b"lost+found"), None)
        if lost is None or lost[1] != 3 or len(self.folders.get(3, b"")) < s["bsize"]:
            self.say("lost+found", "is not inode 3 with a full block")

    # --- groups -------------------------------------------------------------------------------------------------------

    def groups(self):
        s = self.s
        totals = [0, 0, 0, 0]
        for group in range(s["ncg"]):
            sums = self.group(group)
            record = self.numbers(s["csaddr"] * s["fsize"] + group * 16, "4i")
            if record != sums:
                self.say("summary", f"group {group} has {record}, should have {sums}")
            totals = [total + each for total, each in zip(totals, sums, strict=True)]
        start = s["csaddr"] * s["fsize"]
        if not is_zero(self.image[start + 16 * s["ncg"] : start + s["cssize"]]):
            self.say("summary", "is not followed by zeros")
        for name, total in zip(("ndir", "nbfree", "nifree", "nffree"), totals, strict=True):
            self.expect("totals", f"fs_cstotal.{name}", s[name], total)

    def group(self, group):
        s = self.s
        frag, cpg, ipg = s["frag"], s["cpg"], s["ipg"]
        base = group * s["fpg"]
        count = min(s["fpg"], s["size"] - base)
        at = (base + s["cblkno"]) * s["fsize"]
        blocks_free = parts_free = 0
        runs = [0] * 8
        by_cylinder = [0] * cpg
        by_position = [0] * (8 * cpg)
        for first in range(0, count, frag):
            free = [self.owner[base + i] == 0 for i in range(first, min(first + frag, count))]
            if len(free) == frag and all(free):
                blocks_free += 1
                sector = first * s["nspf"]
                by_cylinder[sector // s["spc"]] += 1
                by_position[sector // s["spc"] * 8 + sector % s["spc"] % s["nsect"] * 8 // s["nsect"]] += 1
                continue
            parts_free += sum(free)
            for run in "".join("x" if each else " " for each in free).split():
                runs[len(run)] += 1
        used = [base_inode in self.modes for base_inode in range(group * ipg, (group + 1) * ipg)]
        if group == 0:
            used[0] = used[1] = True
        folders = sum(self.modes.get(number) == FOLDER for number in range(group * ipg, (group + 1) * ipg))
        sums = (folders, blocks_free, ipg - sum(used), parts_free)
        magic, _time, index = self.numbers(at + 4, "3i")
        cylinders, inodes = self.numbers(at + 16, "2h")
        rotors = self.numbers(at + 40, "3i")
        right = [
            ("cg_link", self.numbers(at, "I")[0], 0),
            ("cg_magic", magic, 0x090255),
            ("cg_cgx", index, group),
            ("cg_ncyl", cylinders, min(cpg, s["ncyl"] - cpg * group)),
            ("cg_niblk", inodes, ipg),
            ("cg_ndblk", self.numbers(at + 20, "i")[0], count),
            ("the offsets", self.numbers(at + 84, "5i"),
             (168, self.boff, self.iusedoff, self.freeoff, self.nextfreeoff)),
        ]  # fmt: skip
        for name, is_, should in right:
            self.expect("group header", f"{name} of group {group}", is_, should)
        if not (0 <= rotors[0] < count and 0 <= rotors[1] < count and 0 <= rotors[2] < ipg):
            self.say("group header", f"the rotors of group {group} are {rotors}")
        self.expect("group sums", f"cg_cs of group {group}", self.numbers(at + 24, "4i"), sums)
        self.expect("free runs", f"cg_frsum of group {group}", list(self.numbers(at + 52, "8i")), runs)
        self.expect("cylinders", f"cg_btot of {group}", list(self.numbers(at + 168, f"{cpg}i")), by_cylinder)
        positions = self.numbers(at + self.boff, f"{8 * cpg}h")
        self.expect("positions", f"cg_b of group {group}", list(positions), by_position)
        self.bitmap("inode map", group, at + self.iusedoff, self.freeoff - self.iusedoff, used)
        free = [self.owner[base + i] == 0 for i in range(count)]
        self.bitmap("fragment map", group, at + self.freeoff, self.nextfreeoff - self.freeoff, free)
        if not is_zero(self.image[at + 104 : at + 168]) or not is_zero(
            self.image[at + self.nextfreeoff : at + s["bsize"]]
        ):
            self.say("group padding", f"of group {group} is not zero")
        return sums

    def bitmap(self, code, group, at, length, bits):
        bits = bits + [False] * (length * 8 - len(bits))
        text = "".join("1" if bit else "0" for bit in bits)
        right = bytes(int(text[i : i + 8][::-1], 2) for i in range(0, len(text), 8))
        found = self.image[at : at + length]
        if found != right:
            wrong = [i for i in range(length * 8) if (found[i // 8] ^ right[i // 8]) >> i % 8 & 1]
            self.say(code, f"of group {group} is wrong at {wrong[:8]}")

    def unused(self):
        """Report free fragments, and bytes after the file system, that are not zero."""
        s = self.s
        fsize = s["fsize"]
        for fragment, owner in enumerate(self.owner):
            if not owner and not is_zero(self.image[fragment * fsize : (fragment + 1) * fsize]):
                self.say("free space", f"fragment {fragment} is not zero")
        if not is_zero(self.image[s["size"] * fsize :]):
            self.say("free space", "the bytes after the file system are not zero")


def check(image):
    """Return what is wrong with a UFS image (bytes or a map of a file), as lines "code: what"."""
    return Checker(image).run()


if __name__ == "__main__":
    import sys
    from pathlib import Path

    findings = check(Path(sys.argv[1]).read_bytes())
    print("\n".join(findings) or "clean")
    sys.exit(bool(findings))
