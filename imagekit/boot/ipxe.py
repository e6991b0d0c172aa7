"""iPXE scripts that boot SmartOS: one platform straight, or a menu; and what stock iPXE would cut off in silence.

The kernel lines are as SmartOS hosts use them, and the menu offers what that of netboot.smartos.org does.  iPXE looks
for relative URIs beside the script, so a script works below any server and prefix.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from imagekit.boot.console import DEVICES, Console
from imagekit.boot.kernel_arguments import DEFAULT_ROOT_SHADOW, argument, console_properties, longest_form

LINE_LIMIT = 512
"""Bytes that stock iPXE has for the command lines of kernel and modules together, URIs and NULs included."""

MODULE_LIMIT = 8
"""Modules that stock iPXE hands over."""

ARCHIVE_LIMIT = 300 * 10**6
"""Bytes of a boot archive above which stock iPXE was reported to fail: "Requested memory not available"."""

USUAL_PREFIX = "http://192.168.100.100/"
"""What stands for the unknown server when lengths are counted."""

MODES: Mapping[str, Mapping[str, str]] = {
    "normal": {},
    "noimport": {"noimport": "true"},
    "rescue": {"smartos": "false", "noimport": "true"},
}
"""Boot properties of each way to boot.  Rescue also sets root's password and leaves the user's modules out."""

KMDB = {"off": "-B", "loaded": "-k -B", "first": "-kd -B"}
"""How the kernel's arguments begin, with its debugger or without."""

VERBOSE = ("off", "on")
"""Whether -v stands before those: then the kernel tells what it finds and starts."""

TIMEOUT = 10_000
"""Milliseconds until the menu boots its default."""


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """A module: where it lies below the script's folder, and what the kernel is told (type rootfs, hash or file)."""

    path: str
    kind: str
    name: str

    def text(self, prefix: str = "") -> str:
        """Return what follows the word `module`, and what the kernel is given."""
        return f"{prefix}{self.path} type={self.kind} name={self.name}"


@dataclass(frozen=True, slots=True)
class Boot:
    """What one platform boots from: `archive` is the boot archive and its hash, `added` the user's modules."""

    stamp: str
    kernel: str
    archive: tuple[ModuleLine, ...]
    added: tuple[ModuleLine, ...]
    given: Mapping[str, str]
    """Boot properties that the user gave."""
    image: str | None = None
    """Path of the ISO image that UEFI machines boot instead of all that; None where iPXE has multiboot there."""

    def console(self, console: Console, device: str | None = None) -> dict[str, str]:
        """Return the properties of a console device, with the speeds that the user gave."""
        usual = console_properties(console, device)
        return {name: self.given.get(name, value) if name != "console" else value for name, value in usual.items()}

    def rest(self, mode: str = "normal") -> dict[str, str]:
        """Return the properties that are not about the console."""
        given = {name: value for name, value in self.given.items() if name != "console" and name not in _MODE_NAMES}
        properties = {"smartos": "true", **given, **MODES[mode]}
        if mode == "rescue":
            properties.setdefault("root_shadow", DEFAULT_ROOT_SHADOW)
        return properties

    def modules(self, mode: str = "normal") -> tuple[ModuleLine, ...]:
        """Return the modules of a way to boot."""
        return self.archive if mode == "rescue" else (*self.archive, *self.added)

    def arguments(self, console: Console) -> str:
        """Return the kernel's arguments of a straight boot."""
        device = self.given.get("console", console.device)
        return f"-B {argument({**self.console(console, device), **self.rest()})}"


_MODE_NAMES = frozenset(f"{device}-mode" for device in DEVICES)

LABELS = ("menu", "start", "failed", "again", "console", "mode", "kmdb", "verbose", "shell", "exit", "uefi")
"""Labels of the menu's script, which no stamp may have, for those are labels there, too."""

_UNDER_UEFI = "iseq ${platform} efi"
_OPTIONS = (
    "item --gap Options",
    "item --key c console Console: ${console}",
    "item --key m mode Mode: ${mode}",
    "item --key k kmdb Kernel debugger: ${kmdb}",
    "item --key v verbose Verbose: ${verbose}",
)


def straight(boot: Boot, console: Console, prefix: str = "") -> str:
    """Return the script that boots one platform."""
    lines = [
        "#!ipxe",
        f"# SmartOS {boot.stamp}",
        ":start",
        "isset ${ip} || dhcp || goto failed",
        *([f"{_UNDER_UEFI} && goto uefi ||"] if boot.image else []),
        "imgfree",
        f"kernel {prefix}{boot.kernel} {boot.arguments(console)} || goto failed",
        *(f"module {module.text(prefix)} || goto failed" for module in boot.modules()),
        "boot || goto failed",
        *([":uefi", *_sanboot(f"{prefix}{boot.image}")] if boot.image else []),
        ":failed",
        f"echo SmartOS {boot.stamp} could not be loaded or started: see above",
        f"prompt --timeout {TIMEOUT} Trying again in 10 seconds; press a key for the iPXE shell && shell ||",
        "goto start",
    ]
    return "".join(f"{line}\n" for line in lines)


def menu(boots: Sequence[Boot], default: str, console: Console, prefix: str = "") -> str:
    """Return the script with the menu: `boots` in the order that it shows, the stamp `default` chosen."""
    device = next(boot for boot in boots if boot.stamp == default).given.get("console", console.device)
    consoles = {device: console_properties(console, device) for device in DEVICES}
    if device not in consoles:  # one that the kernel may know, such as a hypervisor's
        consoles["given"] = {"console": device}
    with_images = any(boot.image for boot in boots)
    options = f"{_UNDER_UEFI} || " if with_images else ""  # there, the loader on the image has a menu of its own
    lines = [
        "#!ipxe",
        "# SmartOS: a menu of platforms, consoles and ways to boot",
        "isset ${ip} || dhcp ||",
        f"set console {device if device in DEVICES else 'given'}",
        "set mode normal",
        "set kmdb off",
        "set verbose off",
        f"set menu-timeout {TIMEOUT}",
        ":menu",
        *(f"set begin_{name}_off {begin}" for name, begin in KMDB.items()),
        *(f"set begin_{name}_on -v {begin}" for name, begin in KMDB.items()),
        *(f"set console_{name} {argument(properties)}" for name, properties in consoles.items()),
        "menu SmartOS",
        "item --gap Platforms",
        *(f"item {boot.stamp} {boot.stamp}" for boot in boots),
        *(f"{options}{line}" for line in _OPTIONS),
        "item --gap Other",
        "item --key s shell iPXE shell",
        "item --key x exit Next boot device",
        f"choose --default {default} --timeout ${{menu-timeout}} chosen || goto exit",
        "set menu-timeout 0",
        "goto ${chosen}",
    ]
    for boot in boots:
        lines += _platform(boot, console, prefix)
    if with_images:
        lines += [":uefi", *_sanboot("${image}"), "goto failed"]
    lines += [
        ":start",
        "boot || goto failed",
        ":failed",
        "echo SmartOS ${chosen} could not be loaded or started: see above",
        f"prompt --timeout {TIMEOUT} Trying again in 10 seconds; press a key for the menu || goto again",
        "goto menu",
        ":again",
        f"set menu-timeout {TIMEOUT}",
        "goto menu",
        *_cycle("console", DEVICES),
        *_cycle("mode", tuple(MODES)),
        *_cycle("kmdb", tuple(KMDB)),
        *_cycle("verbose", VERBOSE),
        ":shell",
        "echo Type exit to come back to the menu",
        "shell",
        "goto menu",
        ":exit",
        "exit 0",
    ]
    return "".join(f"{line}\n" for line in lines)


def _sanboot(image: str) -> Iterator[str]:
    """Yield the lines that boot from an image as a disc; what follows them is what is done when that fails."""
    yield f"sanboot {image} ||"
    yield f"echo UEFI machines boot from {image}, by parts over HTTP: not over TFTP"


def _platform(boot: Boot, console: Console, prefix: str) -> Iterator[str]:
    yield f":{boot.stamp}"
    if boot.image:
        yield f"set image {prefix}{boot.image}"
        yield f"{_UNDER_UEFI} && goto uefi ||"
    for device in DEVICES:
        own = boot.console(console, device)
        if own != console_properties(console, device):
            yield f"set console_{device} {argument(own)}"
    for mode in MODES:
        yield f"set mode_{mode} {argument(boot.rest(mode))}"
    yield "imgfree"
    begin = "${begin_${kmdb}_${verbose}}"
    yield f"kernel {prefix}{boot.kernel} {begin} ${{console_${{console}}}},${{mode_${{mode}}}} || goto failed"
    for module in boot.archive:
        yield f"module {module.text(prefix)} || goto failed"
    if boot.added:
        yield "iseq ${mode} rescue && goto start ||"
    for module in boot.added:
        yield f"module {module.text(prefix)} || goto failed"
    yield "goto start"


def _cycle(variable: str, values: Sequence[str]) -> Iterator[str]:
    """Yield the lines that give a variable its next value, the first after the last and after a foreign one."""
    yield f":{variable}"
    for value, following in pairwise(values):
        yield f"iseq ${{{variable}}} {value} && set {variable} {following} && goto menu ||"
    yield f"set {variable} {values[0]}"
    yield "goto menu"


def limit_warnings(boot: Boot, console: Console, prefix: str, *, with_menu: bool) -> list[str]:
    """Return where stock iPXE would cut off the kernel's or a module's command line, or leave modules out."""
    found = []
    prefix = prefix.replace("${next-server}", "192.168.100.100") or USUAL_PREFIX
    modules = boot.modules()
    if len(modules) > MODULE_LIMIT:
        found.append(
            f"{boot.stamp} has {len(modules)} modules, hashes counted; stock iPXE hands over {MODULE_LIMIT} "
            "and drops the rest in silence"
        )
    size = _size(boot, boot.arguments(console), "normal", prefix)
    if size > LINE_LIMIT:
        found.append(_too_long(f"{boot.stamp} has", size, prefix))
    elif with_menu:
        longest = max(
            (_size(boot, f"-v {KMDB['first']} {text}", mode, prefix), mode, device)
            for device in DEVICES
            for mode in MODES
            for text in [argument({**boot.console(console, device), **boot.rest(mode)})]
        )
        if longest[0] > LINE_LIMIT:
            found.append(
                _too_long(f"{boot.stamp}, {longest[1]} on {longest[2]} verbose with kmdb, has", longest[0], prefix)
            )
    return found


def _size(boot: Boot, arguments: str, mode: str, prefix: str) -> int:
    lines = [
        f"{prefix}{boot.kernel} {longest_form(arguments)}",
        *(module.text(prefix) for module in boot.modules(mode)),
    ]
    return sum(len(line) + 1 for line in lines)


def _too_long(what: str, size: int, prefix: str) -> str:
    return (
        f"{what} {size} bytes of command lines, with URIs that begin like {prefix}; stock iPXE cuts all behind "
        f"{LINE_LIMIT} off in silence"
    )
