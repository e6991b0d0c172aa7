"""What boot files that came along (loader.conf.local and the like) undo of the loader.conf that imagekit writes."""

from collections.abc import Iterable

from imagekit.boot.console import SERIAL_PORTS, Console
from imagekit.boot.kernel_arguments import mode_problems
from imagekit.boot.loader_conf import read_loader_conf

KERNEL_ENDING = "/platform/i86pc/kernel/amd64/unix"
"""How a kernel's path must end: the kernel looks for its modules beside it, by this very path."""


def loader_warnings(files: Iterable[tuple[str, str]], console: Console) -> list[str]:
    """Return what will surprise; `files` are (name, text) that the loader reads behind the generated one, in order."""
    found = []
    values: dict[str, tuple[str, str]] = {}
    for name, text in files:
        variables, stop = read_loader_conf(text)
        if stop is not None:
            line = text.split("\n")[stop - 1]
            why = "a carriage return" if line.endswith("\r") else "a syntax error"
            found.append(f"{name}:{stop}: {why}: the loader ignores the rest of the file")
        values.update((variable, (name, value)) for variable, value in variables.items())
    name, device = values.get("os_console", ("", console.device))
    if device != console.device:
        found.append(f'{name}: os_console="{device}", but -c chooses {console.device}: that console will stay silent')
    name, devices = values.get("console", ("", device))
    if device not in devices.split(","):
        found.append(f'{name}: console="{devices}" lacks {device}, the console of the kernel')
    for port in SERIAL_PORTS:
        if f"{port}-mode" in values:
            name, mode = values[f"{port}-mode"]
            found += mode_problems(f'{name}: {port}-mode="{mode}"', mode, port, console)
    for variable in ("bootfile", "kernel"):
        name, kernel = values.get(variable, ("", KERNEL_ENDING))
        if not kernel.replace("${ISADIR}", "amd64").endswith(KERNEL_ENDING):
            found.append(
                f'{name}: {variable}="{kernel}" does not end in {KERNEL_ENDING}: '
                "the folder must be named platform, or the kernel stops in krtld"
            )
    return found
