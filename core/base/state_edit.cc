// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caisson/edit.h"
#include "core/base/state_steps.h"
#include "core/base/state_walk.h"
#include "core/base/status_macros.h"
#include "core/base/utf8.h"

namespace caisson {
namespace {

// Where a name leads.
struct Place {
  Path path;
  Node holder;                  // whose child it is
  std::optional<size_t> entry;  // of the holder, if it holds entries
};

std::string TextOf(const PathStep& step) { return Join({step}); }

std::string Quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

// Finds up to two places with one name. Keys may hold dots, so that several
// children can begin a name; what was searched in vain is not searched again.
class Finder {
 public:
  explicit Finder(std::string_view name) : name_(name) {}

  // REQUIRES: CheckTree(root) succeeds.
  std::vector<Place> Run(const Node& root) {
    Search(root, 0);
    return std::move(found_);
  }

 private:
  // Looks for the rest of the name, from `begin` on, below `node`.
  void Search(const Node& node, size_t begin) {
    const size_t before = found_.size();
    if (node.none() || vain_.contains({node.identity(), begin})) return;
    (void)ForEachChildAt(node, [&](const ChildAt& at) {
      if (found_.size() < 2) Offer(node, begin, at);
      return Status::Ok();
    });
    if (found_.size() == before) vain_.emplace(node.identity(), begin);
  }

  void Offer(const Node& holder, size_t begin, const ChildAt& at) {
    if (!at.step) return Search(*at.child, begin);
    const std::string text = TextOf(*at.step);
    const std::string_view rest = name_.substr(begin);
    if (!rest.starts_with(text)) return;
    path_.push_back(*at.step);
    if (rest.size() == text.size()) {
      // Attributes that a dict lacks are no child of it.
      if (at.entry || !at.child->none()) {
        found_.push_back({path_, holder, at.entry});
      }
    } else if (rest[text.size()] == '.') {
      Search(*at.child, begin + text.size() + 1);
    }
    path_.pop_back();
  }

  const std::string_view name_;
  Path path_;
  std::vector<Place> found_;
  std::set<std::pair<const void*, size_t>> vain_;
};

const std::vector<Dict::Entry>& EntriesOf(const Node& holder) {
  const Dict* dict = holder.As<Dict>();
  return dict != nullptr ? dict->entries() : holder.As<Object>()->entries;
}

// The last key of `to`, if the rest of it is the path of `holder`.
Result<std::string> NewKey(const Place& place, std::string_view to) {
  const Path parent(place.path.begin(), place.path.end() - 1);
  if (parent.empty()) return std::string(to);
  const std::string prefix = Join(parent) + ".";
  if (to.starts_with(prefix)) return std::string(to.substr(prefix.size()));
  return Status::InvalidArgument(Quoted(to) + " does not lie in " +
                                 Quoted(Join(parent)) + ", where " +
                                 Quoted(Join(place.path)) + " must stay");
}

// A key "a.b" beside a container "a" would pass for an entry "b" of that.
Status CheckApart(const Node& holder, size_t entry, const std::string& key) {
  const auto& entries = EntriesOf(holder);
  const bool holds = HoldsNodes(entries[entry].second);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == entry) continue;
    const std::string other = TextOf(StepOf(entries[i].first));
    if (HoldsNodes(entries[i].second) && key.starts_with(other + ".")) {
      return Status::InvalidArgument(
          Quoted(other) +
          " holds entries of its own, into which nothing is "
          "moved");
    }
    if (holds && other.starts_with(key + ".")) {
      return Status::InvalidArgument(Quoted(other) +
                                     " would seem to lie in it");
    }
  }
  return Status::Ok();
}

Status SetKey(Node& holder, size_t entry, Node key) {
  if (Object* object = holder.As<Object>()) {
    object->entries[entry].first = std::move(key);
    return Status::Ok();
  }
  Dict* dict = holder.As<Dict>();
  Dict renamed(dict->ordered);
  renamed.attributes = dict->attributes;
  for (size_t i = 0; i < dict->size(); ++i) {
    const auto& [old, value] = dict->entries()[i];
    CAISSON_RETURN_IF_ERROR(renamed.Set(i == entry ? key : old, value));
  }
  *dict = std::move(renamed);
  return Status::Ok();
}

// Renames what is at `place`.
Status RenameAt(Place& place, std::string_view to) {
  if (!place.entry) {
    return Status::InvalidArgument(Quoted(Join(place.path)) +
                                   " is no entry of a dict");
  }
  if (EntriesOf(place.holder)[*place.entry].first.AsStr() == nullptr) {
    return Status::InvalidArgument("its key " + TextOf(place.path.back()) +
                                   " is no str");
  }
  CAISSON_ASSIGN_OR_RETURN(const std::string key, NewKey(place, to));
  CAISSON_RETURN_IF_ERROR(CheckApart(place.holder, *place.entry, key));
  return SetKey(place.holder, *place.entry, Node(key));
}

}  // namespace

Status Rename(State& state, std::string_view from, std::string_view to) {
  const std::string context = "rename " + Quoted(from) + " to " + Quoted(to);
  if (!IsUtf8SurrogatePass(to)) {
    return Status::InvalidArgument(context + ": the new name is no UTF-8");
  }
  if (const Status status = CheckTree(state.root); !status.ok()) {
    return status.WithContext(context);
  }
  std::vector<Place> found = Finder(from).Run(state.root);
  if (found.empty()) {
    return Status::NotFound(context + ": nothing is called " + Quoted(from));
  }
  if (found.size() > 1) {
    return Status::InvalidArgument(context + ": the first is the name of " +
                                   Spelled(found[0].path) + " and of " +
                                   Spelled(found[1].path));
  }
  const std::vector<Place> taken = Finder(to).Run(state.root);
  if (!taken.empty()) {
    return Status::InvalidArgument(context + ": " + Quoted(to) +
                                   " is the name of " + Spelled(taken[0].path) +
                                   " already");
  }
  return RenameAt(found[0], to).WithContext(context);
}

}  // namespace caisson
