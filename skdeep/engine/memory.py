"""How much memory is left for a large array: a machine that overcommits grants more than it has, and kills later."""

import os
import resource

PROC, CGROUPS = "/proc", "/sys/fs/cgroup"
# Bytes below which it would take longer to ask how much is free than to fill them.
NEGLIGIBLE = 2**22


def available():
    """Bytes that this process can still fill.

    The least of what the machine has free, what is left to the control groups of the process (Linux
    containers), and what is left of its limit of address space.
    """
    return max(0, min([_of_the_machine(), *_of_the_control_groups(), *_of_the_process()]))


def _of_the_machine():
    for line in _text(f"{PROC}/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_the_control_groups():
    """What is left to each group that holds the process, in version 2 and version 1 of the interface."""
    for line in _text(f"{PROC}/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            top, limit, usage, cache = CGROUPS, "memory.max", "memory.current", "inactive_file"
        elif controllers == "memory":
            top, limit, usage = f"{CGROUPS}/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        # In a container the path may be that of the host: the group is then mounted at the top.
        names = [name for name in group.split("/") if name]
        for depth in range(1 if ".." in names else len(names) + 1):
            folder = "/".join([str(top), *names[:depth]])
            most, used = _text(f"{folder}/{limit}").strip(), _text(f"{folder}/{usage}").strip()
            if most.isdigit() and used.isdigit():
                # Pages of files count as used, and are given back on demand.
                statistics = dict(entry.split() for entry in _text(f"{folder}/memory.stat").splitlines())
                yield int(most) - int(used) + int(statistics.get(cache, 0))


def _of_the_process():
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text(f"{PROC}/self/statm").split() if limit != resource.RLIM_INFINITY else []
    if pages:
        yield limit - int(pages[0]) * resource.getpagesize()


def _text(path):
    """The text of a file, empty where there is none to read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode()
    except OSError:
        return ""
