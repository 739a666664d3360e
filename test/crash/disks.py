"""Real filesystems on loop devices, mounted where only this process and its children see them: when
the process ends, however it ends, mounts and loop devices go with it."""

import ctypes
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from cases import *

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", "-J", "size=8"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
}
FSCK = {"ext4": ["e2fsck", "-f", "-n"], "xfs": ["xfs_repair", "-n", "-f"]}
BYTES_MIN = {"ext4": 64 << 20, "xfs": 320 << 20}

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
FREEZE, THAW = 0xC0045877, 0xC0045878


def private_mounts():
    """Once, before anything is mounted. Skips where mounts and loop devices are not to be had."""
    if os.geteuid() != 0:
        raise Skipped("loop devices and mounts need root")
    if not pathlib.Path("/dev/loop-control").exists():
        raise Skipped("no loop devices here: /dev/loop-control is missing")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:
        raise Skipped(f"no private mounts here: {os.strerror(ctypes.get_errno())}")
    run(["mount", "--make-rprivate", "/"])


class Memory:
    """A size-capped tmpfs: what stands on it runs out of space late."""

    def __init__(self, home, size):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="memory-", dir=home))
        run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path])

    def resize(self, size):
        run(["mount", "-o", f"remount,size={size}", self.path])

    def used(self):
        stat = os.statvfs(self.path)
        return (stat.f_blocks - stat.f_bfree) * stat.f_frsize

    def close(self):
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.path, ignore_errors=True)


class Disk:
    """A filesystem in an image file. Made anew by make(), there while it is mounted."""

    def __init__(self, home, kind, size=0, options="", image_home=None):
        if not shutil.which(MKFS[kind][0]):
            raise Skipped(f"{MKFS[kind][0]} is not installed")
        listed = pathlib.Path("/proc/filesystems").read_text().split()
        if kind not in listed:
            subprocess.run(["modprobe", kind], stderr=subprocess.DEVNULL)
            if kind not in pathlib.Path("/proc/filesystems").read_text().split():
                raise Skipped(f"this kernel has no {kind}")
        self.kind, self.options = kind, options
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=home))
        self.image = pathlib.Path(image_home or home) / f"{self.path.name}.image"
        self.size = max(size, BYTES_MIN[kind])
        self.mounted = False

    def make(self):
        self.image.unlink(missing_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(self.size)
        run(MKFS[self.kind] + [self.image])

    def mount(self):
        options = ",".join(filter(None, ["loop", self.options]))
        try:
            run(["mount", "-t", self.kind, "-o", options, self.image, self.path])
        except Failed as failure:
            if "loop device" in str(failure):
                raise Skipped(f"no loop device to be had: {failure}")
            raise
        self.mounted = True

    def split_requests(self):
        """Hands the image one page at a time: of a longer write the loop device hides that the
        image took only a part of it (Linux 6.18, loop.c, lo_complete_rq), and no log could know
        that its data is gone."""
        device = run(["findmnt", "-n", "-o", "SOURCE", self.path]).decode().strip()
        pathlib.Path(f"/sys/block/{pathlib.Path(device).name}/queue/max_sectors_kb").write_text("4")

    def unmount(self):
        """Writes of a killed process may hold it for a moment."""

        def gone():
            return subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0

        wait_until(gone, f"{self.path} can be unmounted")
        self.mounted = False

    def _ioctl(self, number, argument):
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, number, argument)
        finally:
            os.close(fd)

    def shut_down(self, flag):
        """At once, as when the power goes. 0: data is flushed; 1: the journal; 2: nothing is."""
        self._ioctl(SHUTDOWN, struct.pack("I", flag))

    def freeze(self):
        """Every write waits until thaw()."""
        self._ioctl(FREEZE, 0)

    def thaw(self):
        self._ioctl(THAW, 0)

    def check(self):
        """The filesystem's own checker finds nothing. Not mounted; its journal was replayed."""
        run(FSCK[self.kind] + [self.image])

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL)
        self.image.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
