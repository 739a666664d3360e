"""Hugepages for programs that need some for a while."""

import atexit
import pathlib
import re


class Hugepages:
    """Reserves pages for as long as the process lives, then gives back what it took."""

    PATH = pathlib.Path("/proc/sys/vm/nr_hugepages")

    def __init__(self):
        self.taken = 0

    @staticmethod
    def free():
        text = pathlib.Path("/proc/meminfo").read_text()
        found = re.search(r"HugePages_Free:\s+(\d+)", text)
        return int(found.group(1)) if found else 0

    def add(self, page_cnt):
        before = int(self.PATH.read_text())
        # Others reserve and give back, too: fewer may be there than were taken.
        self.PATH.write_text(str(max(0, before + page_cnt)))
        return int(self.PATH.read_text()) - before

    def reserve(self, page_cnt):
        """Whether that many pages are free now. They are pages of its own: what is free already may
        be another program's, which is about to start."""
        missing = page_cnt - self.taken
        try:
            if missing > 0:
                if self.taken == 0:
                    atexit.register(self.give_back)
                self.taken += self.add(missing)
        except OSError:
            pass
        return self.free() >= page_cnt

    def give_back(self):
        self.add(-self.taken)


HUGEPAGES = Hugepages()
