# SPDX-License-Identifier: Apache-2.0
#
# Functions that build for another machine and run its programs under QEMU.
# Source it after setup.sh. They need Debian's packages; the sources of apt are
# those that this machine is configured with.

# install_cross ARCH: Debian's cross compiler, QEMU, and ARCH's libraries under
# build/sysroot/ARCH, where cmake/toolchains/ARCH.cmake looks for them. ARCH is
# the kernel's name of the machine: aarch64 or s390x.
install_cross() {
  local arch=$1 debian_arch=$1 package libraries=(libc6-dev)
  if ! command -v apt-get >/dev/null; then
    note "no apt-get here: cannot build for $arch"
    return 1
  fi
  [ "$arch" != aarch64 ] || debian_arch=arm64
  install_packages "${build_packages[@]}" "g++-$arch-linux-gnu" qemu-user
  for package in "${build_packages[@]}"; do
    case $package in
      libbenchmark-dev) ;;  # nothing is measured under QEMU
      libisal-dev) [ "$arch" != aarch64 ] || libraries+=("$package") ;;
      *-dev) libraries+=("$package") ;;
    esac
  done
  unpack_sysroot "$debian_arch" "$root/build/sysroot/$arch" "${libraries[@]}"
}

# unpack_sysroot DEBIAN_ARCH FOLDER PACKAGE...: unpacks the packages of another
# architecture, with all that they depend on, into a folder that is not there
# or holds others. A private root of apt: dpkg of this machine learns of no
# architecture, and none of its packages changes.
unpack_sysroot() {
  local arch=$1 folder=$2 apt=$2.apt archive
  shift 2
  [ "$(cat "$folder/packages" 2>/dev/null)" != "$*" ] || return 0
  note "unpacking $arch packages into $folder"
  rm -rf "$folder" "$folder.new" "$apt"
  mkdir -p "$folder.new" "$apt/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/status"
  cat >"$apt/apt.conf" <<APT
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "$(id -un)";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT
  apt-get -c "$apt/apt.conf" update -q >&2
  apt-get -c "$apt/apt.conf" install -y -q --no-install-recommends \
    --download-only "$@" >&2
  for archive in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$archive" "$folder.new"
  done
  echo "$*" >"$folder.new/packages"
  mv "$folder.new" "$folder"
  rm -rf "$apt"
}
