"""Advice for operators about a file that could not be read, by reason."""

from collections.abc import Mapping

from exporter.core.measured import Reason

ADVICE: Mapping[Reason, str] = {
    Reason.PERMISSION: (
        "Run the exporter as root or with the capability CAP_DAC_READ_SEARCH; where it has that, look for denials of "
        "SELinux or AppArmor."
    ),
    Reason.VANISHED: "Nothing: it was removed while it was read.",
    Reason.IO: "The disk or its filesystem reports errors: see the kernel's log (dmesg), and check the filesystem.",
    Reason.DECODE: (
        "The file is damaged or half written. If this stays, the daemon cannot read it either: restore it from a "
        "backup, or remove the object."
    ),
    Reason.TOO_LARGE: (
        "It is larger than Docker makes it (metadata over 8.4 MB, or a tree with millions of hard links): see what "
        "has written it."
    ),
    Reason.NOT_REGULAR: (
        "A link, device or directory stands where Docker keeps a plain file, and is not followed: put the file back, "
        "or mount instead of linking."
    ),
    Reason.INTERNAL: (
        "The exporter failed with this object, or its numbers cannot be true. The log has the place in the program: "
        "please report it. The figures that need the object are absent, all others are right."
    ),
    Reason.LOOP: "An image is its own ancestor: its description is damaged. Remove it and pull it again.",
    Reason.TIMEOUT: (
        "Measuring made no progress: see whether a mount below hangs (NFS, FUSE). For a slow disk, raise "
        "--scan.tree-timeout."
    ),
    Reason.CHANGING: (
        "A database was written to each time that it was read. It is read again in the next scan; if this stays, see "
        "what writes to it without a pause."
    ),
}
