"""A Debian with systemd as its process 1, in namespaces of its own. Needs root.

It shares the kernel with this machine and nothing else: no files, no processes, no network (so no
abstract socket either). Its control groups are below one that is made for it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,dbus,init-system-helpers,procps,python3,systemd,systemd-sysv"
ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8"]
NAMESPACES = [
    *("unshare", "--fork", "--kill-child"),
    *("--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net"),
]
BOOT = r"""
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for each in null zero full random urandom tty; do
    touch "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
mkdir "$root/dev/pts" "$root/dev/shm"
if grep -q ' - cgroup2 .*' <(grep ' /sys/fs/cgroup ' /proc/self/mountinfo); then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/unified" "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
cd "$root"
mkdir -p .outside
pivot_root . .outside
cd /
umount -l .outside
mount --make-rshared /
exec env -i container=sessiond-test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system
"""


def install_debian(root: Path) -> None:
    """Put a minimal Debian at `root`."""
    subprocess.run(
        [
            *("debootstrap", "--variant=minbase", f"--include={PACKAGES}"),
            *(RELEASE, str(root), MIRROR),
        ],
        check=True,
        capture_output=True,
    )
    (root / "etc/machine-id").write_text("")
    root.chmod(0o755)  # a test's folder is for its owner alone, and this is to be everybody's /


class Machine:
    """What runs at `root`, until the end of the block."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> Self:
        self._groups = [_group_in(each) for each in _hierarchies()]
        self._script = tempfile.NamedTemporaryFile("w", suffix=".sh")
        self._script.write(BOOT)
        self._script.flush()
        self._process = subprocess.Popen(
            [*NAMESPACES, "bash", self._script.name, str(self.root)],
            preexec_fn=self._enter_groups,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._await_boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self._children():
            os.kill(pid, signal.SIGKILL)  # all that is in its namespace dies with it
        self._process.wait()
        self._script.close()
        for group in self._groups:
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """Run a command there as root; return what it prints, errors too."""
        found = subprocess.run(
            ["nsenter", f"--target={self._init}", "--all", *ENVIRONMENT, *command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and found.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {found.returncode}\n{found.stdout}")
        return found.stdout.strip()

    def python(self, program: str) -> str:
        return self.run("python3", "-", stdin=program)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={name}", "--value")

    def put(self, path: str, text: str) -> None:
        """Write a file that its root alone may read."""
        file = self.root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)

    def take(self, file: Path) -> str:
        """Copy a file in, and return where it is there."""
        shutil.copy(file, self.root / "root" / file.name)
        return f"/root/{file.name}"

    def _children(self) -> list[int]:
        pid = self._process.pid
        try:
            return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            return []

    @property
    def _init(self) -> int:
        (init,) = self._children()
        return init

    def _enter_groups(self) -> None:
        for group in self._groups:
            (group / "cgroup.procs").write_text("0")

    def _await_boot(self) -> None:
        """Wait until it has started everything; whoever calls has a timeout."""
        while self._process.poll() is None:
            state = self._children() and self.run(
                "systemctl", "is-system-running", "--wait", check=False
            )
            if state in ("running", "degraded"):
                return
        raise AssertionError("it does not boot: is this root, with control groups to write to?")


def _hierarchies() -> list[Path]:
    """Return where systemd's own control groups are mounted."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [
        Path(mount[1])
        for mount in mounts
        if mount[2] == "cgroup2" or (mount[2] == "cgroup" and "name=systemd" in mount[3].split(","))
    ]


def _group_in(hierarchy: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix="sessiond-test-", dir=hierarchy))
