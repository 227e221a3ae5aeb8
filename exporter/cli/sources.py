"""Where a command for people reads from: the flags for that, and what they ask for. `run` imports this module too."""

from functools import partial
from typing import TYPE_CHECKING, Any

from exporter.cli import options, served_options, terminal_options
from exporter.cli.options import Function
from exporter.config.settings import Config, ScanSettings

if TYPE_CHECKING:
    from exporter.cli.commands.source import Source

#: The flags that say which disk is read and how, and those that ask an exporter instead; in the order of --help.
_DISK = (options.root, options.containerd_root, options.orphaned_after, served_options.network)
_EXPORTER = (
    terminal_options.from_url,
    terminal_options.from_user,
    terminal_options.from_password_file,
    terminal_options.from_ca_file,
    terminal_options.from_cert_file,
    terminal_options.from_key_file,
)


def with_disk(command: Function) -> Function:
    """Add the flags of a command that reads the disk itself."""
    for option in reversed(_DISK):
        command = option(command)
    return command


def with_source(command: Function) -> Function:
    """Add the flags of a command that reads the disk, or asks a running exporter."""
    for option in reversed(_EXPORTER):
        command = option(command)
    return with_disk(command)


def disk_of(flags: dict[str, Any]) -> Config:
    """Take the flags of `with_disk` out of all flags of a call: the data root that is to be read."""
    root, containerd_root = flags.pop("root"), flags.pop("containerd_root")
    settings = ScanSettings(network=flags.pop("network"), orphaned_after=flags.pop("orphaned_after"))
    return Config(root=root, containerd_root=containerd_root, scan=settings)


def source_of(flags: dict[str, Any]) -> "tuple[Config | None, Source]":
    """Take the flags of `with_source` out of all flags of a call.

    Returns the disk, None where an exporter is asked, and the source: each call of it reads anew.
    """
    from exporter.cli.commands.remote import Remote  # noqa: PLC0415 - see above
    from exporter.cli.commands.source import from_disk, from_exporter  # noqa: PLC0415

    disk = disk_of(flags)
    url, user, file = flags.pop("url"), flags.pop("user"), flags.pop("password_file")
    authority, certificate, key = flags.pop("ca_file"), flags.pop("cert_file"), flags.pop("key_file")
    if not url:
        return disk, partial(from_disk, disk)
    password = file.readline().rstrip("\r\n") if file else ""
    remote = Remote(url, user, password, authority, certificate, key)
    return None, lambda _: from_exporter(remote)
