# SPDX-License-Identifier: Apache-2.0
#
# Functions for the scripts of this repository. Source it under bash with
# `set -euo pipefail`; it sets `root` to the repository root.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

build_packages=(
  g++ cmake ninja-build pkg-config ccache libhwy-dev libdeflate-dev
  liburing-dev libgtest-dev libgmock-dev libfmt-dev nlohmann-json3-dev libcli11-dev
  zlib1g-dev libprotobuf-dev protobuf-compiler libbenchmark-dev python3
  python3-dev python3-venv)
# ISA-L exists for these machines only.
case $(uname -m) in
  x86_64 | aarch64) build_packages+=(libisal-dev) ;;
esac
readonly build_packages

# The release of torch that the peer tests compare with.
readonly torch_version=2.13.0

note() { printf '%s\n' "-- $*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    note "neither root nor sudo: cannot run $*"
    return 1
  fi
}

# install_packages PACKAGE...: installs those Debian packages that are missing.
# Without apt-get, only checks that the tools of the build are there.
install_packages() {
  local package tool missing=()
  if ! command -v apt-get >/dev/null; then
    for tool in c++ cmake ninja pkg-config python3; do
      command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then
      note "no apt-get here; please install ${missing[*]}"
      return 1
    fi
    return 0
  fi
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
      grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  note "installing ${missing[*]}"
  as_root apt-get update -q >&2
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# Prints a Python of at least 3.10 that can make virtual environments.
find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python3.10 \
    /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  note "no python3 of at least 3.10 with venv"
  return 1
}

peers_ready() {
  "$root/.venv/bin/python" - "$torch_version" >/dev/null 2>&1 <<'PYTHON'
import sys

import numpy
import safetensors
import torch

sys.exit(torch.__version__.split("+")[0] != sys.argv[1])
PYTHON
}

# Makes .venv with the libraries that the peer tests compare with.
python_env() {
  local python
  peers_ready && return 0
  note "installing torch $torch_version into .venv"
  if ! "$root/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -m venv --clear "$root/.venv"
  fi
  "$root/.venv/bin/python" -m pip install --quiet \
    "torch==$torch_version" numpy safetensors >&2
  peers_ready || {
    note ".venv has no working torch $torch_version"
    return 1
  }
}

# build PRESET [TARGET...]: configures a preset of CMakePresets.json and builds
# it, or only those targets.
build() {
  local preset=$1
  shift
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache
    export CMAKE_CUDA_COMPILER_LAUNCHER=ccache
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1  # hits in other clones too
  fi
  (cd "$root" && cmake --preset "$preset" &&
    cmake --build --preset "$preset" -j"$(nproc)" ${*:+--target "$@"})
}
