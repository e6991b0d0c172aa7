"""Putting together what a PXE directory holds and what was asked for."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from imagekit.boot.console import Console
from imagekit.boot.modules import Module
from imagekit.errors import InputError, PlanError, Thing
from imagekit.media.pxe.catalog import (
    MODULES,
    Catalog,
    Platform,
    Script,
    ServedModule,
    machine_folder,
    script_path,
)
from imagekit.media.pxe.request import Found, PxeRequest, module_contents, module_folder, served_content
from imagekit.media.pxe.texts import RESERVED_STAMPS


def combine(
    request: PxeRequest, old: Catalog | None, found: Sequence[Found], modules: tuple[Module, ...]
) -> tuple[Catalog, list[str]]:
    """Return what the directory will hold, and the folders of the modules that were asked for.

    Raise InputError or PlanError for what contradicts itself or the directory.
    """
    layout = request.layout or (old.layout if old else "smartos")
    if old and layout != old.layout:
        raise PlanError(
            f"this directory has the layout {old.layout}",
            where=str(request.output),
            hint=f"name another one with {Thing.OUTPUT}",
        )
    if request.macs and layout != "triton":
        raise InputError(f"{Thing.MAC} is for {Thing.LAYOUT} triton", hint="smartos.ipxe is the same for all machines")
    removed = {stamp.text for stamp in request.remove}
    platforms = _platforms(request, old, found, removed)
    console = request.console or (old.console if old else Console())
    new, places = _scripts(request, layout, [one.platform.stamp for one in found], console, modules)
    scripts = {script.path: script for script in (old.scripts if old else ())} | {one.path: one for one in new}
    for script in list(scripts.values()):
        if script.stamp in removed:
            if script.mac:
                raise PlanError(
                    f"{script.path} boots {script.stamp}, so it cannot go",
                    where=str(request.output),
                    hint=f"give that machine another platform first: {Thing.PLATFORM} DIR {Thing.MAC} {script.mac}",
                )
            del scripts[script.path]
    catalog = Catalog(
        layout=layout,
        url=request.url if request.url is not None else (old.url if old else ""),
        default=_default(request, old, platforms),
        console=console,
        platforms=tuple(platforms[stamp] for stamp in sorted(platforms, reverse=True)),
        scripts=tuple(scripts[path] for path in sorted(scripts)),
        loader=old.loader if old else (),
        uefi=request.uefi or (old.uefi if old else None),
    )
    if request.uefi == "iso" and not catalog.wants_images:
        raise InputError(
            f"{Thing.UEFI} iso is for {Thing.LAYOUT} smartos, and for URLs that begin with http: or https:",
            hint="iPXE boots no image over TFTP; Triton's iPXE has multiboot 2 and needs none",
        )
    if not catalog.wants_images:
        catalog = replace(catalog, scripts=tuple(replace(script, iso=None) for script in catalog.scripts))
    return catalog, places


def _platforms(
    request: PxeRequest, old: Catalog | None, found: Sequence[Found], removed: set[str]
) -> dict[str, Platform]:
    """Return the platforms by stamp: those that stay and those that come."""
    stamps = [one.platform.stamp for one in found]
    for stamp in stamps:
        if stamp in RESERVED_STAMPS:
            raise InputError(
                f"a platform of the stamp {stamp}, which has another meaning in the scripts here",
                where=str(request.output),
                hint="build it with another BUILDSTAMP",
            )
        if stamps.count(stamp) > 1 or stamp in removed:
            raise InputError(
                f"{stamp} is asked for twice", hint=f"name each platform once, with {Thing.PLATFORM} or {Thing.REMOVE}"
            )
    missing = sorted(removed - {platform.stamp for platform in (old.platforms if old else ())})
    if missing:
        here = ", ".join(platform.stamp for platform in old.platforms) if old else "nothing"
        raise InputError(f"no platform {missing[0]} to remove; there is {here}", where=str(request.output))
    platforms = {
        platform.stamp: platform for platform in (old.platforms if old else ()) if platform.stamp not in removed
    }
    platforms |= {one.platform.stamp: one.platform for one in found}
    if not platforms:
        raise PlanError(
            "this would remove the last platform, and nothing could boot from here",
            where=str(request.output),
            hint="add another one first, or delete the folder",
        )
    return platforms


def _default(request: PxeRequest, old: Catalog | None, platforms: Collection[str]) -> str | None:
    """Return the stamp that boots by itself because somebody asked for it, or None."""
    default = request.default.text if request.default else (old.default if old else None)
    if default not in platforms:
        if request.default:
            raise InputError(
                f"no platform {default} here to boot by default", hint=f"there will be {', '.join(sorted(platforms))}"
            )
        default = None
    return default


def _scripts(
    request: PxeRequest, layout: str, stamps: Sequence[str], console: Console, modules: tuple[Module, ...]
) -> tuple[list[Script], list[str]]:
    """Return the scripts that were asked for, and the folders of their modules."""
    properties = tuple((one.name, one.value) for one in request.properties)
    if layout == "smartos":
        targets: list[tuple[str, str, str, str | None]] = [
            (script_path(stamp, None), stamp, f"{MODULES}/{module_folder(modules)}", None) for stamp in stamps
        ]
    else:
        if request.macs and len(stamps) != 1:
            raise InputError(
                f"{Thing.MAC} needs one platform, for these machines to boot", hint=f"give {Thing.PLATFORM} once"
            )
        if (modules or properties) and not request.macs:
            raise InputError("modules and properties are for machines here", hint=f"name machines with {Thing.MAC}")
        targets = [(script_path(stamps[0], mac), stamps[0], machine_folder(mac), mac) for mac in request.macs]
        modules = tuple(sorted(modules, key=lambda one: one.name != "networking.json"))
    scripts = []
    for path, stamp, folder, mac in targets:
        served = []
        for module in modules:
            file, hashed = (served_content(name, one) for name, one in module_contents(module, folder).items())
            served.append(ServedModule(module.name, file, hashed))
        scripts.append(Script(path, stamp, console, properties, folder if served else "", tuple(served), mac))
    return scripts, list(dict.fromkeys(script.folder for script in scripts if script.folder))
