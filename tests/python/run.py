# SPDX-License-Identifier: Apache-2.0
"""Builds the package once, installs it into two virtual environments, and runs
its tests: with torch, which is that of the peers, and with numpy only.

    run.py FOLDER --peers PYTHON --cxx COMPILER

FOLDER keeps the environments and the build for the next run.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = pathlib.Path(__file__).resolve().parent
BUILD_NEEDS = ["scikit-build-core>=0.10", "nanobind>=2.9"]


def call(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def environment(folder, *packages, beside=None):
    """The Python of a virtual environment that has `packages`, and those of
    the directory `beside` too."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if beside is not None:
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "peers.pth").write_text(f"{beside}\n")
    call(python, "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", *packages)
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--cxx", required=True)
    options = parser.parse_args()
    folder = options.folder.resolve()
    peers = subprocess.run(
        [options.peers, "-c", "import sysconfig, sys; "
         "print(sys.version_info[:2] == tuple(map(int, sys.argv[1:]))); "
         "print(sysconfig.get_path('purelib'))",
         *map(str, sys.version_info[:2])],
        check=True, capture_output=True, text=True).stdout.split()
    if peers[0] != "True":
        sys.exit("run.py wants the Python that made the peers' environment")

    with_torch = environment(folder / "torch", "pytest", *BUILD_NEEDS,
                             beside=peers[1])
    wheels = folder / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    environ = dict(os.environ, CXX=options.cxx, CCACHE_BASEDIR=str(ROOT),
                   CCACHE_NOHASHDIR="1")
    if shutil.which("ccache"):
        environ["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    # At the depth of the other builds, so that ccache knows the commands.
    call(with_torch, "-m", "pip", "wheel", "--quiet", "--no-build-isolation",
         "--no-deps", f"--config-settings=build-dir={ROOT / 'build/wheel'}",
         "--wheel-dir", wheels, ROOT, env=environ)
    (wheel,) = wheels.glob("caisson-*.whl")
    install = ["-m", "pip", "install", "--quiet", "--force-reinstall",
               "--no-deps", wheel]
    call(with_torch, *install)
    plain = environment(folder / "numpy", "pytest", "numpy")
    call(plain, *install)
    # Not from the repository, whose folders are no installed package.
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
    environ = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    call(plain, *pytest, TESTS / "test_numpy.py", cwd=folder, env=environ)
    call(with_torch, *pytest, TESTS, cwd=folder, env=environ)


if __name__ == "__main__":
    main()
