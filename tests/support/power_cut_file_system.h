// SPDX-License-Identifier: Apache-2.0
//
// A FileSystem over one directory that knows what a power cut would leave of
// it, and can cut the power before its n-th operation.
//
// The calls work on a real directory, so they do what the kernel does. Beside
// it stands a model of the device:
//
//  * A file has its durable content, which Sync() of the file sets, and the
//    writes and truncations since. After a power cut each sector of 512 bytes
//    is as it was after any number of those, and so is the size; a sector that
//    never got there is zeros. So writes are kept, dropped, torn, and done in
//    any order. Allocate() leaves nothing to see.
//  * The directory has its durable entries, which Sync() of the directory sets,
//    and the names made, renamed and removed since. Any of those happened, in
//    any order, each wholly or not at all. That is more than a journal permits,
//    which keeps their order.
//  * Sync() of a file makes none of its names durable, and Sync() of the
//    directory no content but that of symbolic links. A symbolic link is made
//    with its target or not at all.
//
// Nothing is synced in truth, so a thousand power cuts take seconds.
//
// Thread safety: all functions may be called on many threads at once.
#pragma once

#include <climits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/io/file_system.h"

namespace caisson {

struct PowerCutPlan {
  int at = INT_MAX;          // the first operation that no longer happens
  bool no_unnamed = false;   // OpenUnnamed() is refused, as on NFS
  bool no_symlinks = false;  // Symlink() is refused, as on FAT
};

class PowerCutFileSystem final : public FileSystem {
 public:
  // The files that are in `directory` are durable. It must be an absolute path
  // and hold no directories. Operations elsewhere are not modelled.
  explicit PowerCutFileSystem(std::string directory, PowerCutPlan plan = {});

  // How many operations happened.
  int operations() const;

  // Whether the power went: each call since then has failed with EIO.
  bool cut() const;

  // Puts into the empty directory `into` what may be found when the power
  // returns. Every seed is another possibility.
  void Cut(uint64_t seed, const std::string& into) const;

  int Open(int dir, const char* name, int flags, mode_t mode) override;
  int OpenUnnamed(int dir, mode_t mode) override;
  int LinkUnnamed(int fd, int dir, const char* name) override;
  int Close(int fd) override;
  ssize_t Read(int fd, std::span<std::byte> dst, uint64_t offset) override;
  ssize_t Write(int fd, std::span<const std::byte> src,
                uint64_t offset) override;
  int Sync(int fd) override;
  int Flush(int fd) override;
  int Truncate(int fd, uint64_t bytes) override;
  int Allocate(int fd, uint64_t bytes) override;
  int SetDirect(int fd, bool direct) override;
  int FreeBytes(int fd, uint64_t* bytes) override;
  int DropCache(int fd, uint64_t offset, uint64_t bytes) override;
  int Stat(int fd, struct stat* found) override;
  int StatName(int dir, const char* name, struct stat* found) override;
  int Chmod(int fd, mode_t mode) override;
  int Lock(int fd) override;
  int Rename(int dir, const char* from, const char* to) override;
  int Unlink(int dir, const char* name) override;
  int Symlink(const char* target, int dir, const char* name) override;
  int ReadLink(int dir, const char* name, std::string* target) override;
  int List(int dir, std::vector<std::string>* names) override;

 private:
  using Random = std::mt19937_64;

  // A write of `bytes` at `offset`, or without `bytes` a truncation to it.
  struct Change {
    uint64_t offset;
    std::optional<std::string> bytes;
  };

  // A file or a symbolic link; files are numbered as they appear.
  struct Inode {
    std::string durable;          // content, or the target of a link
    std::vector<Change> pending;  // since the last Sync()
    bool link = false;
  };

  // Entries that change together: names and the files they lead to, or
  // kNothing.
  using Entries = std::map<std::string, int>;
  static constexpr int kNothing = -1;

  // Runs `call` unless the power is gone.
  template <class Call>
  auto Do(const Call& call) -> decltype(call());

  int Add(Inode inode);
  bool IsEntry(int dir, const std::string& path) const;
  int FileAt(const std::string& name) const;  // or kNothing
  void Enter(Entries entries);
  static void Apply(const Entries& change, Entries* entries);
  static void Apply(const Change& change, std::string* content);
  static std::string ContentAfterCut(const Inode& inode, Random& random);
  Entries EntriesAfterCut(Random& random) const;

  FileSystem& posix_ = FileSystem::Posix();
  const std::string directory_;
  const PowerCutPlan plan_;

  mutable std::mutex lock_;  // guards the rest
  int count_ = 0;
  bool cut_ = false;
  std::vector<Inode> inodes_;
  std::map<int, int> open_;     // descriptors and their files
  std::set<int> directories_;   // descriptors of the directory
  Entries names_;               // as the programs see them
  Entries durable_;             // as of the last Sync() of the directory
  std::vector<Entries> since_;  // what was changed after that, in order
};

}  // namespace caisson
