// SPDX-License-Identifier: Apache-2.0
//
// VerifyDcp: every archive of a checkpoint by itself, also where others cannot
// be opened. Records are checked whole, however their chunks lie in tensors.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/engine/dcp/checkpoint_file.h"
#include "core/engine/dcp/part_adapter.h"
#include "core/engine/dcp/shards.h"
#include "core/engine/read/reader_impl.h"
#include "core/formats/signature.h"

namespace caisson {
namespace {

// An archive: all of a file, or a part of one.
struct Archive {
  bool part = false;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::map<std::string, std::vector<std::string>> names;  // by record
};

using Archives = std::map<std::pair<std::string, uint64_t>, Archive>;

class Collector {
 public:
  explicit Collector(Archives& archives) : archives_(archives) {}

  void Add(const std::string& fqn, const dcp::Place& place) {
    const uint64_t offset = place.record ? 0 : place.offset;
    Archive& archive = archives_[{place.file, offset}];
    if (!place.record) {
      archive.part = true;
      archive.offset = place.offset;
      archive.bytes = std::max(archive.bytes, place.bytes);
    }
    auto& names = archive.names[place.record.value_or("")];
    if (names.empty() || names.back() != fqn) names.push_back(fqn);
  }

 private:
  Archives& archives_;
};

// Whether that says something of the checkpoint, and not of this machine.
bool IsVerdict(const Status& status) {
  return status.code() == StatusCode::kCorrupt ||
         status.code() == StatusCode::kUnsupported ||
         status.code() == StatusCode::kNotFound ||
         status.code() == StatusCode::kInvalidArgument;
}

class Verifier {
 public:
  Verifier(const DcpPath& at, const OpenAdapter& open, ReadExecutor& reads,
           std::vector<std::shared_ptr<const ReadAdapter>>* held)
      : at_(at), open_(open), reads_(reads), held_(held) {}

  Result<VerifyReport> Run() {
    auto metadata = open_(at_.metadata);
    if (!metadata) return metadata.error();
    held_->push_back(*metadata);
    const auto checkpoint =
        ReadCheckpoint(at_, ByteSource(*std::move(metadata)));
    if (!checkpoint) {
      if (checkpoint.error().code() != StatusCode::kCorrupt) {
        return checkpoint.error();
      }
      Note(at_.metadata, {}, 0, checkpoint.error());
      return std::move(report_);
    }
    Archives archives;
    Collector collector(archives);
    for (const dcp::Item& item : checkpoint->items) {
      if (!item.is_tensor) collector.Add(item.fqn, item.place);
      for (const dcp::Chunk& chunk : item.chunks) {
        collector.Add(item.fqn, chunk.place);
      }
    }
    AllowShards(*checkpoint);
    CAISSON_RETURN_IF_ERROR(OpenFiles(archives));
    for (const auto& [place, archive] : archives) {
      CAISSON_RETURN_IF_ERROR(Check(place.first, archive));
    }
    if (report_.damage.empty()) CAISSON_RETURN_IF_ERROR(CheckWhole());
    return std::move(report_);
  }

 private:
  Status OpenFiles(const Archives& archives) {
    uint64_t bytes = 0;
    for (const auto& [place, archive] : archives) {
      const auto [at, added] = files_.emplace(place.first, nullptr);
      if (!added) continue;
      const Result<std::string> path = ShardPath(at_, place.first);
      auto file =
          path ? open_(*path)
               : Result<std::shared_ptr<const ReadAdapter>>(path.error());
      if (!file) {
        if (!IsVerdict(file.error())) return file.error();
        Note((at_.folder + "/") + place.first, NamesOf(archives, place.first),
             0, file.error());
        continue;
      }
      bytes += (*file)->size();
      held_->push_back(*file);
      at->second = *std::move(file);
    }
    reads_.Expect(bytes);
    return Status::Ok();
  }

  static std::vector<std::string> NamesOf(const Archives& archives,
                                          const std::string& file) {
    std::vector<std::string> all;
    for (auto it = archives.lower_bound({file, 0});
         it != archives.end() && it->first.first == file; ++it) {
      for (const auto& [record, names] : it->second.names) {
        all.insert(all.end(), names.begin(), names.end());
      }
    }
    return all;
  }

  Status Check(const std::string& name, const Archive& archive) {
    const std::shared_ptr<const ReadAdapter>& file = files_[name];
    if (file == nullptr) return Status::Ok();
    auto adapter = file;
    if (archive.part) {
      if (!FitsWithin(archive.offset, archive.bytes, file->size())) {
        Note(file->name(), NamesOfAll(archive), archive.offset,
             Status::Corrupt("needs " + std::to_string(archive.bytes) +
                             " bytes at " + std::to_string(archive.offset) +
                             ", the file has " + std::to_string(file->size())));
        return Status::Ok();
      }
      adapter =
          std::make_shared<PartAdapter>(file, archive.offset, archive.bytes);
      held_->push_back(adapter);
    }
    if (!Charge(name, adapter->size())) return Status::Ok();
    // Other files, of which the reader takes none, are none here either.
    const Status zip = RequireZip(ByteSource(adapter));
    Result<VerifyReport> one =
        zip.ok() ? VerifyAdapter(adapter, reads_) : Result<VerifyReport>(zip);
    if (!one) {
      if (!IsVerdict(one.error())) return one.error();
      Note(file->name(), NamesOfAll(archive), archive.offset, one.error());
      return Status::Ok();
    }
    Take(*one, file->name(), archive);
    return Status::Ok();
  }

  // Archives that overlap would have their bytes read again and again. False,
  // and noted once, where those of the file `name` come to more than opening
  // it takes.
  bool Charge(const std::string& name, uint64_t bytes) {
    const ReadAdapter& file = *files_[name];
    uint64_t& named = named_bytes_[name];
    const bool known = named / kMostTimesNamed > file.size();
    named = CheckedAdd(named, bytes).value_or(UINT64_MAX);
    if (named / kMostTimesNamed <= file.size()) return true;
    if (!known) {
      Note(file.name(), {}, 0,
           Status::Corrupt("the metadata names more than it holds"));
    }
    return false;
  }

  static std::vector<std::string> NamesOfAll(const Archive& archive) {
    std::vector<std::string> all;
    for (const auto& [record, names] : archive.names) {
      all.insert(all.end(), names.begin(), names.end());
    }
    return all;
  }

  // Adds what was found of an archive, under the names of the checkpoint.
  void Take(VerifyReport& one, const std::string& file,
            const Archive& archive) {
    report_.checked += one.checked;
    for (const std::string& record : one.unchecked) {
      report_.unchecked.push_back(
          archive.part ? NamesOfAll(archive).front() + "/" + record : record);
    }
    for (Damage& damage : one.damage) {
      damage.file = file;
      damage.offset += archive.offset;
      const auto found = archive.names.find(damage.record);
      if (archive.part || damage.record.empty()) {
        damage.tensors = NamesOfAll(archive);
      } else {
        damage.tensors = found == archive.names.end()
                             ? std::vector<std::string>()
                             : found->second;
      }
      report_.damage.push_back(std::move(damage));
    }
    if (report_.unread.empty()) report_.unread = std::move(one.unread);
  }

  // Shards may be intact and not those that the metadata tells of.
  Status CheckWhole() {
    const auto reader = Reader::Impl::Open(
        at_.metadata, {},
        [this](const std::string& path) { return Held(path); });
    if (reader) return Status::Ok();
    if (!IsVerdict(reader.error())) return reader.error();
    if (reader.error().code() == StatusCode::kUnsupported) {
      report_.unread = std::string(reader.error().message());
    } else {
      Note(at_.metadata, {}, 0, reader.error());
    }
    return Status::Ok();
  }

  Result<std::shared_ptr<const ReadAdapter>> Held(const std::string& path) {
    for (const auto& adapter : *held_) {
      if (adapter->name() == path) return adapter;
    }
    return open_(path);
  }

  void Note(const std::string& file, std::vector<std::string> names,
            uint64_t offset, const Status& status) {
    std::string_view problem = status.message();
    if (problem.starts_with(file + ": "))
      problem.remove_prefix(file.size() + 2);
    report_.damage.push_back(
        {file, "", std::move(names), offset, std::string(problem)});
  }

  const DcpPath& at_;
  const OpenAdapter& open_;
  ReadExecutor& reads_;
  std::vector<std::shared_ptr<const ReadAdapter>>* const held_;
  std::map<std::string, std::shared_ptr<const ReadAdapter>> files_;
  std::map<std::string, uint64_t> named_bytes_;  // of the files
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> VerifyDcp(
    const DcpPath& at, const OpenAdapter& open, ReadExecutor& reads,
    std::vector<std::shared_ptr<const ReadAdapter>>* held) {
  return Verifier(at, open, reads, held).Run();
}

}  // namespace caisson
