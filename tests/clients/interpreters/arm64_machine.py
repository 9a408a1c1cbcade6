"""An arm64 Python with LiteRT under user-mode emulation: Debian's packages, PyPI's wheels.

The packages are unpacked, not installed, so that the machine itself does not change.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from environments import INSTALL_SECONDS, RUN_SECONDS, run_command

PROGRAMS = {
    "qemu-aarch64-static": "qemu-user-static",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
DEBIAN_PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "zlib1g")
WHEELS = (
    "ai-edge-litert==2.3.0",
    "numpy==2.4.6",
    "flatbuffers",
    "protobuf",
    "backports.strenum",
    "tqdm",
    "typing-extensions",
    "ml_dtypes",
)
PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (28, 27, 17))
LIBRARIES = "/usr/lib/aarch64-linux-gnu"

CPU_PARTS = {"cortex-a53": "0xd03", "cortex-a76": "0xd0b"}
CPU_FEATURES = {
    "cortex-a53": "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
    "cortex-a76": "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm "
    "lrcpc dcpop asimddp",
}
"""The first has NEON alone, the second dot products too, for which XNNPACK has other kernels."""

ONLINE_FILES = ("possible", "present", "online", "kernel_max")
TOPOLOGY_FILES = (
    "physical_package_id",
    "cluster_cpus_list",
    "core_siblings_list",
    "package_cpus_list",
    "core_id",
)


class Arm64Machine:
    """A folder that holds one root for each processor."""

    def __init__(self, folder: Path) -> None:
        """Make what is missing below `folder`.

        Raises:
            EdgeMelanomaError: a package cannot be had.
        """
        self._folder = folder
        if not (folder / "ready").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            self._unpack_debian()
            self._unpack_wheels()
            for cpu in CPU_PARTS:
                self._make_root(cpu)
            (folder / "ready").touch()

    def run(self, cpu: str, arguments: Sequence[str]) -> str:
        """What Python writes to standard output on an emulated processor."""
        root = self._folder / f"root-{cpu}"
        command = ["qemu-aarch64-static", "-cpu", cpu, "-L", str(root)]
        command += ["-E", f"LD_LIBRARY_PATH={LIBRARIES}"]
        python = str(self._folder / "root/usr/bin/python3.11")
        variables = {**os.environ, "PYTHONPATH": str(self._folder / "site")}
        return run_command([*command, python, *arguments], seconds=RUN_SECONDS, env=variables)

    def _unpack_debian(self) -> None:
        lists, packages = self._folder / "lists", self._folder / "packages"
        for folder in (lists, packages):
            (folder / "partial").mkdir(parents=True)
        status = self._folder / "status"
        status.touch()
        apt = ["apt-get", "--quiet"]
        for setting in (
            "APT::Architecture=arm64",
            "APT::Architectures=arm64",
            f"Dir::State::Lists={lists}",
            f"Dir::Cache::archives={packages}",
            f"Dir::State::status={status}",
            "Debug::NoLocking=1",
        ):
            apt += ["-o", setting]
        run_command([*apt, "update"], seconds=INSTALL_SECONDS)
        download = ["install", "--yes", "--no-install-recommends", "--download-only"]
        run_command([*apt, *download, *DEBIAN_PACKAGES], seconds=INSTALL_SECONDS)
        for package in sorted(packages.glob("*.deb")):
            run_command(["dpkg-deb", "-x", str(package), str(self._folder / "root")])

    def _unpack_wheels(self) -> None:
        wheels, site = self._folder / "wheels", self._folder / "site"
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--only-binary=:all:", "--python-version", "311", "--implementation", "cp"]
        for platform in PLATFORMS:
            download += ["--platform", platform]
        for abi in ("cp311", "abi3", "none"):
            download += ["--abi", abi]
        run_command([*download, "--dest", str(wheels), *WHEELS], seconds=INSTALL_SECONDS)
        for wheel in sorted(wheels.glob("*.whl")):
            shutil.unpack_archive(wheel, site, format="zip")

    def _make_root(self, cpu: str) -> None:
        """A root whose /proc and /sys tell of that processor, where LiteRT looks for kernels.

        The emulator finds these files below its root first; the host's are of another kind.
        """
        root = self._folder / f"root-{cpu}"
        shutil.copytree(self._folder / "root", root, symlinks=True, copy_function=os.link)
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc/cpuinfo").write_text(
            "processor\t: 0\nBogoMIPS\t: 52.00\n"
            f"Features\t: {CPU_FEATURES[cpu]}\n"
            "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: {CPU_PARTS[cpu]}\nCPU revision\t: 4\n\n"
        )
        system = root / "sys/devices/system/cpu"
        core = system / "cpu0"
        for folder in (core / "topology", core / "cpufreq"):
            folder.mkdir(parents=True)
        for name in ONLINE_FILES:
            (system / name).write_text("0\n")
        for name in TOPOLOGY_FILES:
            (core / "topology" / name).write_text("0\n")
        (core / "cpufreq/cpuinfo_max_freq").write_text("1800000\n")
        (core / "cpufreq/cpuinfo_min_freq").write_text("300000\n")
