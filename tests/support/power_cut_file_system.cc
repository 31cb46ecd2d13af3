// SPDX-License-Identifier: Apache-2.0
#include "tests/support/power_cut_file_system.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace caisson {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSector = 512;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

PowerCutFileSystem::PowerCutFileSystem(std::string directory, PowerCutPlan plan)
    : directory_(std::move(directory)), plan_(plan) {
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
    Inode inode;
    inode.link = entry.is_symlink();
    inode.durable = inode.link ? fs::read_symlink(entry.path()).string()
                               : ReadFile(entry.path());
    durable_[entry.path().filename().string()] = Add(std::move(inode));
  }
  names_ = durable_;
}

int PowerCutFileSystem::operations() const {
  const std::lock_guard hold(lock_);
  return count_;
}

bool PowerCutFileSystem::cut() const {
  const std::lock_guard hold(lock_);
  return cut_;
}

template <class Call>
auto PowerCutFileSystem::Do(const Call& call) -> decltype(call()) {
  const std::lock_guard hold(lock_);
  cut_ = cut_ || count_ == plan_.at;
  if (cut_) return -EIO;
  ++count_;
  return call();
}

int PowerCutFileSystem::Add(Inode inode) {
  inodes_.push_back(std::move(inode));
  return static_cast<int>(inodes_.size()) - 1;
}

bool PowerCutFileSystem::IsEntry(int dir, const std::string& path) const {
  if (dir == AT_FDCWD) return fs::path(path).parent_path() == directory_;
  return directories_.contains(dir) && path != ".";
}

int PowerCutFileSystem::FileAt(const std::string& name) const {
  const auto found = names_.find(name);
  if (found == names_.end()) return kNothing;
  const Inode& inode = inodes_[static_cast<size_t>(found->second)];
  return inode.link ? FileAt(inode.durable) : found->second;
}

void PowerCutFileSystem::Enter(Entries entries) {
  Apply(entries, &names_);
  since_.push_back(std::move(entries));
}

void PowerCutFileSystem::Apply(const Entries& change, Entries* entries) {
  for (const auto& [name, file] : change) {
    if (file == kNothing) {
      entries->erase(name);
    } else {
      (*entries)[name] = file;
    }
  }
}

void PowerCutFileSystem::Apply(const Change& change, std::string* content) {
  if (!change.bytes) {
    content->resize(change.offset);
    return;
  }
  const size_t extent = change.offset + change.bytes->size();
  if (content->size() < extent) content->resize(extent);
  content->replace(change.offset, change.bytes->size(), *change.bytes);
}

std::string PowerCutFileSystem::ContentAfterCut(const Inode& inode,
                                                Random& random) {
  if (inode.pending.empty()) return inode.durable;
  std::vector<std::string> versions = {inode.durable};
  for (const Change& change : inode.pending) {
    versions.push_back(versions.back());
    Apply(change, &versions.back());
  }
  // Often the whole file is of one version, and often of the first or the last:
  // what is left then looks most like a whole file.
  const uint64_t manner = random() % 4;
  const size_t common = manner == 0   ? 0
                        : manner == 1 ? versions.size() - 1
                                      : random() % versions.size();
  const auto choose = [&]() -> const std::string& {
    return versions[manner == 3 ? random() % versions.size() : common];
  };
  std::string content(choose().size(), '\0');
  for (size_t at = 0; at < content.size(); at += kSector) {
    const std::string& version = choose();
    if (at >= version.size()) continue;
    const size_t bytes =
        std::min({kSector, content.size() - at, version.size() - at});
    content.replace(at, bytes, version, at, bytes);
  }
  return content;
}

PowerCutFileSystem::Entries PowerCutFileSystem::EntriesAfterCut(
    Random& random) const {
  std::vector<Entries> changes = since_;
  const uint64_t manner = random() % 3;
  if (manner == 0) {
    // A journal: all up to some moment.
    changes.resize(random() % (changes.size() + 1));
  } else {
    std::erase_if(changes, [&](const Entries&) { return random() % 2 == 0; });
  }
  if (manner == 2) std::shuffle(changes.begin(), changes.end(), random);
  Entries entries = durable_;
  for (const Entries& change : changes) Apply(change, &entries);
  return entries;
}

void PowerCutFileSystem::Cut(uint64_t seed, const std::string& into) const {
  const std::lock_guard hold(lock_);
  Random random(seed);
  std::map<int, fs::path> written;  // a file may have several names
  for (const auto& [name, file] : EntriesAfterCut(random)) {
    const fs::path path = fs::path(into) / name;
    const Inode& inode = inodes_[static_cast<size_t>(file)];
    const auto [first, fresh] = written.emplace(file, path);
    if (!fresh) {
      fs::create_hard_link(first->second, path);
    } else if (inode.link) {
      fs::create_symlink(inode.durable, path);
    } else {
      std::ofstream(path, std::ios::binary) << ContentAfterCut(inode, random);
    }
  }
}

int PowerCutFileSystem::Open(int dir, const char* name, int flags,
                             mode_t mode) {
  return Do([&] {
    const int fd = posix_.Open(dir, name, flags, mode);
    if (fd < 0) return fd;
    if (dir == AT_FDCWD && fs::path(name) == directory_) {
      directories_.insert(fd);
    } else if (IsEntry(dir, name)) {
      const std::string entry = fs::path(name).filename().string();
      int file = FileAt(entry);
      if (file == kNothing) {
        file = Add({});
        Enter({{entry, file}});
      } else if ((flags & O_TRUNC) != 0) {
        inodes_[static_cast<size_t>(file)].pending.push_back({0, {}});
      }
      open_[fd] = file;
    }
    return fd;
  });
}

int PowerCutFileSystem::OpenUnnamed(int dir, mode_t mode) {
  if (plan_.no_unnamed) return -EOPNOTSUPP;
  return Do([&] {
    const int fd = posix_.OpenUnnamed(dir, mode);
    if (fd >= 0) open_[fd] = Add({});
    return fd;
  });
}

int PowerCutFileSystem::LinkUnnamed(int fd, int dir, const char* name) {
  return Do([&] {
    const int error = posix_.LinkUnnamed(fd, dir, name);
    if (error == 0) Enter({{name, open_.at(fd)}});
    return error;
  });
}

int PowerCutFileSystem::Close(int fd) {
  // The descriptor is a thing of this process, which outlives the power cut.
  const int closed = [&] {
    const std::lock_guard hold(lock_);
    open_.erase(fd);
    directories_.erase(fd);
    return posix_.Close(fd);
  }();
  return Do([&] { return closed; });
}

ssize_t PowerCutFileSystem::Read(int fd, std::span<std::byte> dst,
                                 uint64_t offset) {
  return Do([&] { return posix_.Read(fd, dst, offset); });
}

ssize_t PowerCutFileSystem::Write(int fd, std::span<const std::byte> src,
                                  uint64_t offset) {
  return Do([&] {
    const ssize_t written = posix_.Write(fd, src, offset);
    const auto file = open_.find(fd);
    if (written > 0 && file != open_.end()) {
      std::string bytes(static_cast<size_t>(written), '\0');
      std::memcpy(bytes.data(), src.data(), bytes.size());
      inodes_[static_cast<size_t>(file->second)].pending.push_back(
          {offset, std::move(bytes)});
    }
    return written;
  });
}

int PowerCutFileSystem::Sync(int fd) {
  return Do([&] {
    if (directories_.contains(fd)) {
      durable_ = names_;
      since_.clear();
    } else if (const auto file = open_.find(fd); file != open_.end()) {
      Inode& inode = inodes_[static_cast<size_t>(file->second)];
      for (const Change& change : inode.pending) Apply(change, &inode.durable);
      inode.pending.clear();
    }
    return 0;
  });
}

int PowerCutFileSystem::Flush(int fd) {
  return Do([&] { return posix_.Flush(fd); });
}

int PowerCutFileSystem::Truncate(int fd, uint64_t bytes) {
  return Do([&] {
    const int error = posix_.Truncate(fd, bytes);
    const auto file = open_.find(fd);
    if (error == 0 && file != open_.end()) {
      inodes_[static_cast<size_t>(file->second)].pending.push_back({bytes, {}});
    }
    return error;
  });
}

int PowerCutFileSystem::Allocate(int fd, uint64_t bytes) {
  return Do([&] { return posix_.Allocate(fd, bytes); });
}

int PowerCutFileSystem::SetDirect(int fd, bool direct) {
  return Do([&] { return posix_.SetDirect(fd, direct); });
}

int PowerCutFileSystem::FreeBytes(int fd, uint64_t* bytes) {
  return Do([&] { return posix_.FreeBytes(fd, bytes); });
}

int PowerCutFileSystem::DropCache(int fd, uint64_t offset, uint64_t bytes) {
  return posix_.DropCache(fd, offset, bytes);
}

int PowerCutFileSystem::Stat(int fd, struct stat* found) {
  return Do([&] { return posix_.Stat(fd, found); });
}

int PowerCutFileSystem::StatName(int dir, const char* name,
                                 struct stat* found) {
  return Do([&] { return posix_.StatName(dir, name, found); });
}

int PowerCutFileSystem::Chmod(int fd, mode_t mode) {
  return Do([&] { return posix_.Chmod(fd, mode); });
}

int PowerCutFileSystem::Lock(int fd) {
  return Do([&] { return posix_.Lock(fd); });
}

int PowerCutFileSystem::Rename(int dir, const char* from, const char* to) {
  return Do([&] {
    const int error = posix_.Rename(dir, from, to);
    if (error == 0) Enter({{from, kNothing}, {to, names_.at(from)}});
    return error;
  });
}

int PowerCutFileSystem::Unlink(int dir, const char* name) {
  return Do([&] {
    const int error = posix_.Unlink(dir, name);
    if (error == 0) Enter({{name, kNothing}});
    return error;
  });
}

int PowerCutFileSystem::Symlink(const char* target, int dir, const char* name) {
  if (plan_.no_symlinks) return -EPERM;
  return Do([&] {
    const int error = posix_.Symlink(target, dir, name);
    if (error == 0) Enter({{name, Add({target, {}, true})}});
    return error;
  });
}

int PowerCutFileSystem::ReadLink(int dir, const char* name,
                                 std::string* target) {
  return Do([&] { return posix_.ReadLink(dir, name, target); });
}

int PowerCutFileSystem::List(int dir, std::vector<std::string>* names) {
  return Do([&] { return posix_.List(dir, names); });
}

}  // namespace caisson
