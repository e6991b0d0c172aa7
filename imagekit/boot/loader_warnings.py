"""What will surprise in loader.conf: in lines that were kept, and in files that came along (loader.conf.local, say)."""

from collections.abc import Iterator

from imagekit.boot.console import SERIAL_PORTS, Console, device_names
from imagekit.boot.kernel_arguments import mode_problems, shadow_problem
from imagekit.boot.loader_reading import LoaderReading, Setting
from imagekit.boot.places import DEFAULTS, PLATFORM, PLATFORM_KERNEL
from imagekit.errors import Thing

KERNEL_ENDING = f"/{PLATFORM}/{PLATFORM_KERNEL}"
"""How a kernel's path must end: the kernel looks for its modules beside it, by this very path."""


def loader_warnings(reading: LoaderReading, console: Console) -> Iterator[str]:
    """Yield what will surprise in the files that were read beside the defaults."""
    yield from map(str, reading.faults)
    given = {name: one for name, one in reading.settings.items() if one.file != DEFAULTS}
    device = console.device
    if "os_console" in given:
        # The kernel takes it from -B console=..., and there a comma or a space ends the value.
        setting = given["os_console"]
        device = device_names(setting.value)[0]
        if device != console.device:
            told = _told(given, "os_console")
            yield f"{told}, but {Thing.CONSOLE} chooses {console.device}: that console will stay silent"
    if "console" in given and device not in device_names(given["console"].value):
        yield f"{_told(given, 'console')} lacks {device}, the console of the kernel"
    for port in SERIAL_PORTS:
        if f"{port}-mode" in given:
            setting = given[f"{port}-mode"]
            yield from mode_problems(_told(given, f"{port}-mode"), setting.value, port, console)
    for variable in ("bootfile", "kernel"):
        kernel = given[variable].value.replace("${ISADIR}", "amd64") if variable in given else KERNEL_ENDING
        if not kernel.endswith(KERNEL_ENDING):
            yield (
                f"{_told(given, variable)} does not end in {KERNEL_ENDING}: "
                "the folder must be named platform, or the kernel stops in krtld"
            )
    if "root_shadow" in given:
        yield from shadow_problem(f"{given['root_shadow'].where}: root_shadow", given["root_shadow"].value)
    for name, setting in given.items():
        if name.endswith("_load") and setting.value[0] == "'":
            yield f"{_told(given, name)}: in single quotes the loader does not know YES; write it in double quotes"
    yield from _archive_warnings(reading)


def _archive_warnings(reading: LoaderReading) -> Iterator[str]:
    """Yield a warning when the loader knows of root file systems, and loads none of them."""
    settings = reading.settings
    names = [name.removesuffix("_type") for name, one in settings.items() if one.value == "rootfs"]
    loads = [settings[f"{name}_load"] for name in names if f"{name}_load" in settings]
    if loads and not any(one.value.upper() == "YES" for one in loads):
        yield f"{loads[0].where}: no boot archive is loaded, and the kernel stops without one: take the line out"


def _told(given: dict[str, Setting], name: str) -> str:
    return f'{given[name].where}: {name}="{given[name].value}"'
