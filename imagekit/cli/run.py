"""imagekit run."""

from pathlib import Path

import click

from imagekit.boot.console import DEVICES
from imagekit.cli import options, terminal


@click.command("run")
@click.argument("path", type=options.PATH, metavar="IMAGE|DIR")
@click.argument("qemu", nargs=-1, metavar="[-- QEMU-ARGS]")
@click.option(
    "--firmware",
    type=click.Choice(["bios", "uefi"]),
    default="bios",
    show_default=True,
    help="What starts the machine.",
)
@click.option(
    "--as",
    "attach",
    type=click.Choice(["usb", "disk", "cd", "pxe"]),
    help="How the machine gets it.  [default: usb for a disk image, cd for an ISO, pxe for a folder]",
)
@click.option(
    "--console",
    type=click.Choice(DEVICES),
    help="The console to show.  [default: the one that the image was made for, else ttya]",
)
@click.option(
    "--memory",
    callback=options.size(least=64 << 20),
    default="auto",
    metavar="SIZE",
    help="The machine's memory.  [default: 4G, or three quarters of this computer's]",
)
@click.option(
    "--expect", multiple=True, metavar="TEXT", help="End with success when this was on the console; may be repeated."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="How long to wait for --expect.  [default: 300]"
)
@click.option(
    "--accel",
    type=click.Choice(["tcg", "kvm", "auto"]),
    default="auto",
    show_default=True,
    help="Emulation, or KVM; auto is KVM where it is there and quick.",
)
@click.option(
    "--bootfile",
    metavar="NAME",
    help="What DHCP offers, in a PXE directory.  [default: smartos.ipxe, for UEFI over HTTP]",
)
@click.pass_context
def command(
    context: click.Context,
    path: Path,
    qemu: tuple[str, ...],
    firmware: str,
    attach: str | None,
    console: str | None,
    memory: int | None,
    expect: tuple[str, ...],
    timeout: float | None,
    accel: str,
    bootfile: str | None,
) -> None:
    """Boot a USB image (compressed or not), an ISO image or a PXE directory in QEMU.

    One console is on the terminal. With --expect it is watched instead: the status is 0 as soon as all texts were
    seen, and 1 when the time is over or the machine ends without them. The image is never written to.

    \b
      imagekit run output-usb/platform-20261122T000000Z.usb.gz --firmware uefi
      imagekit run smartos.iso --console ttyb --expect 'console login:' --timeout 600
      imagekit run smartos.usb -- -smp 4 -nic user,model=virtio -drive if=virtio,format=qcow2,file=zones.qcow2
    """
    if qemu and not qemu[0].startswith("-"):
        raise click.UsageError(f"one image at a time, so what is {qemu[0]!r}? Arguments for QEMU go behind --")
    if timeout is not None and not expect:
        raise click.UsageError("--timeout needs a text to --expect")
    from imagekit import run  # noqa: PLC0415 - keeps --help quick

    outcome = run.run(
        run.RunRequest(
            path=path,
            firmware=firmware,
            attach=attach,
            console=console,
            memory=memory,
            expect=expect,
            timeout=run.DEFAULT_TIMEOUT if timeout is None else timeout,
            accelerator=accel,
            bootfile=bootfile,
            more=qemu,
        ),
        options.note,
        terminal.bar,
    )
    if outcome.missing:
        options.print_lines(outcome.lines(), err=True)
        context.exit(1)
