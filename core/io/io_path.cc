// SPDX-License-Identifier: Apache-2.0
#include "core/io/io_path.h"

#include <fcntl.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/base/status_macros.h"
#include "core/io/file.h"
#include "core/io/file_system_name.h"
#include "core/io/io_queue.h"
#include "core/io/temporary.h"

namespace caisson {
namespace {

constexpr char kProbe[] = "caisson-probe";

struct alignas(kDirectAlignment) Block {
  std::byte bytes[kDirectAlignment];
};

std::string Text(ssize_t error) {
  return std::generic_category().message(static_cast<int>(-error));
}

// A file of `directory` that nobody else sees for longer than a moment.
Result<File> OpenProbe(const std::string& directory, FileSystem& files) {
  if (directory.find('\0') != std::string::npos) {
    return Status::InvalidArgument("probe: the path contains a zero byte");
  }
  const int dir = Uninterrupted([&] {
    return files.Open(AT_FDCWD, directory.c_str(),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  });
  if (dir < 0) return FromErrno(-dir, directory, "open");
  const File holder(dir, directory, files);
  int fd = Uninterrupted([&] { return files.OpenUnnamed(dir, 0600); });
  if (fd < 0) {
    // Of a process that died between the next two calls.
    RemoveLeftovers(files, dir, kProbe);
    const std::string name = TemporaryName(kProbe);
    fd = Uninterrupted([&] {
      return files.Open(dir, name.c_str(),
                        O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    });
    if (fd < 0) return FromErrno(-fd, directory, "create a file");
    Uninterrupted([&] { return files.Unlink(dir, name.c_str()); });
  }
  return File(fd, directory, files);
}

// The errno of the one transfer, or what became of it in words.
std::string Describe(const char* doing, ssize_t result) {
  if (result < 0) return std::string(doing) + " failed: " + Text(result);
  return std::string(doing) + " moved " + std::to_string(result) +
         " bytes of " + std::to_string(kDirectAlignment);
}

// Some file systems refuse the flag, some take it and refuse the transfer.
void ProbeDirect(FileSystem& files, int fd, IoPath* path) {
  path->direct = false;
  if (IsInMemory(path->file_system)) {
    path->direct_reason = path->file_system + " has no device below it";
    return;
  }
  const int refused =
      Uninterrupted([&] { return files.SetDirect(fd, /*direct=*/true); });
  if (refused < 0) {
    path->direct_reason = "O_DIRECT is refused: " + Text(refused);
    return;
  }
  Block written;
  Block found = {};
  std::fill(std::begin(written.bytes), std::end(written.bytes),
            std::byte{0xA5});
  const ssize_t put =
      Uninterrupted([&] { return files.Write(fd, written.bytes, 0); });
  if (put != sizeof(Block)) {
    path->direct_reason = Describe("a write with O_DIRECT", put);
    return;
  }
  const ssize_t got =
      Uninterrupted([&] { return files.Read(fd, found.bytes, 0); });
  if (got != sizeof(Block)) {
    path->direct_reason = Describe("a read with O_DIRECT", got);
    return;
  }
  if (!std::ranges::equal(written.bytes, found.bytes)) {
    path->direct_reason = "a read with O_DIRECT gave other bytes than written";
    return;
  }
  path->direct = true;
  path->direct_reason = "a block was written and read with O_DIRECT";
}

// Threads, always. bench/io_bench, direct on ext4 in transfers of 8 MiB: at
// depths from 2 to 8 both are as fast within the spread. With registered memory
// io_uring spares 3 to 5 ms of CPU time for each GB that is read, which is 1 %
// of a core at 3 GB/s, and less than the spread for what is written.
void ChooseQueue(IoPath* path) {
  path->queue = IoKind::kThreads;
  const auto uring = MakeUringQueue(1);
  path->queue_reason = uring ? "no slower than io_uring, which works here too"
                             : std::string(uring.error().message());
}

}  // namespace

Result<IoPath> ProbeIoPath(const std::string& directory, FileSystem& files) {
  CAISSON_ASSIGN_OR_RETURN(const File probe, OpenProbe(directory, files));
  IoPath path;
  path.file_system = FileSystemName(probe.fd());
  path.free_bytes = probe.FreeBytes();
  ProbeDirect(files, probe.fd(), &path);
  ChooseQueue(&path);
  return path;
}

Result<bool> ProbeDirect(File& file, FileSystem& files) {
  IoPath path;
  path.file_system = FileSystemName(file.fd());
  ProbeDirect(files, file.fd(), &path);
  // The flag may be set all the same, and then every write would fail.
  if (!path.direct) static_cast<void>(file.SetDirect(false));
  CAISSON_RETURN_IF_ERROR(file.Truncate(0));
  return path.direct;
}

}  // namespace caisson
