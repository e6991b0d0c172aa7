"""The command line: one module a verb, loaded when the verb is used, so that `imagekit --help` is quick."""

import importlib

import click

from imagekit import __version__

# verb: (module, one line for the list of commands).  The order is that of --help.
VERBS: dict[str, tuple[str, str]] = {
    "usb": ("usb", "Make a bootable USB image (GPT, FAT32; BIOS and UEFI)."),
    "iso": ("iso", "Make a bootable ISO image (El Torito; BIOS and UEFI)."),
    "pxe": ("pxe", "Make a directory to boot from over the network (iPXE, TFTP, HTTP)."),
    "verify": ("verify", "Check a manifest against a proto area."),
    "manifest": ("manifest", "Combine, check, format and compare manifests."),
    "platform": ("platform", "Build a platform: boot_archive, kernel, tarball."),
    "boot": ("boot", "Lay out the boot files of a platform and make their tarball."),
    "tar": ("tar", "Make a tarball of what a manifest ships."),
    "run": ("run", "Boot a product in QEMU, with its console on the terminal."),
    "serve": ("serve", "Serve a folder over HTTP, for a quick test."),
    "demo": ("demo", "Make a small workspace to try it all."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of a verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"imagekit.cli.{VERBS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; on a slip, name the nearest verb."""
        from imagekit.errors import nearest  # noqa: PLC0415 - only on the way out

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = nearest(args[0], VERBS)
            raise click.UsageError(f"no such command: {args[0]}" + (f"; did you mean {near}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="imagekit", message="%(prog)s %(version)s")
def commands() -> None:
    """Build SmartOS platform images and boot media, as a plain user, the same bytes every time.

    Run inside a smartos-live workspace, `imagekit usb -c ttyb` makes what tools/build_boot_image makes.
    """
