"""Processor seconds of the processes this one started, read from /proc; None on systems without it."""

import os
from pathlib import Path


def children_processor_s() -> float | None:
    """User and system time of every living child of this process together."""
    if not Path("/proc/self/stat").exists():
        return None
    own, ticks = os.getpid(), 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if int(fields[1]) == own:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
