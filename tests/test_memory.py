"""What the machine, the control group and the process have left; the files of the kernel are written by the test."""

import resource

import numpy as np
import pytest

from skdeep.engine import memory
from tests._subprocess import run_python

GIB = 2**30


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes files of a made-up /proc and /sys/fs/cgroup: 8 GiB available, no groups, no limit of the process."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    write(proc__meminfo="MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n")
    return write


def test_of_the_machine(system):
    assert memory.available() == 8 * GIB


def test_without_files_it_is_what_the_machine_was_built_with(system, tmp_path):
    (tmp_path / "proc" / "meminfo").unlink()
    assert memory.available() > 2**20


def test_a_group_of_version_2_counts_its_files_as_free(system):
    system(
        proc__self__cgroup="0::/user/job\n",
        cgroup__user__job__memory_dot_max=str(4 * GIB),
        cgroup__user__job__memory_dot_current=str(3 * GIB),
        cgroup__user__job__memory_dot_stat=f"anon {GIB}\ninactive_file {GIB}\n",
    )
    assert memory.available() == 2 * GIB


def test_the_tightest_group_above_counts(system):
    system(
        proc__self__cgroup="0::/user/job\n",
        cgroup__user__job__memory_dot_max="max\n",
        cgroup__user__job__memory_dot_current=str(GIB),
        cgroup__user__memory_dot_max=str(2 * GIB),
        cgroup__user__memory_dot_current=str(GIB),
    )
    assert memory.available() == GIB


def test_a_container_that_sees_its_group_at_the_top(system):
    system(
        proc__self__cgroup="0::/host/path\n",
        cgroup__memory_dot_max=str(2 * GIB),
        cgroup__memory_dot_current=str(3 * GIB),
    )
    assert memory.available() == 0


def test_a_group_of_version_1(system):
    system(
        proc__self__cgroup="5:cpu:/job\n4:memory:/job\n",
        cgroup__memory__job__memory_dot_limit_in_bytes=str(2 * GIB),
        cgroup__memory__job__memory_dot_usage_in_bytes=str(GIB),
        cgroup__memory__job__memory_dot_stat=f"total_inactive_file {GIB // 2}\n",
    )
    assert memory.available() == 3 * GIB // 2


def test_the_limit_of_the_process():
    code = """
    import resource
    from skdeep.engine import memory
    resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36))
    before = memory.available()
    import numpy as np
    taken = np.empty(2**33, np.uint8)
    limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, 2**36))
    print(memory.available())
    """
    assert int(run_python(code).stdout) <= 2**30


def test_the_real_machine_has_memory():
    assert np.iinfo(np.int32).max / 100 < memory.available() < 2**60
