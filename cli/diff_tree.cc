// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_tree.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cli/diff_scalars.h"
#include "cli/object_parts.h"
#include "cli/terminal.h"
#include "cli/value_ids.h"
#include "cli/value_text.h"

namespace caisson::cli {
namespace {

constexpr size_t kMostCharacters = 1000;  // of a name

bool IsContainer(const Node& node) {
  return ItemsOf(node) || node.As<Dict>() || node.As<Object>();
}

bool IsSequence(const Node& node) {
  return node.As<List>() != nullptr || node.As<Tuple>() != nullptr;
}

// Which of B's values is which of A's, by their numbers.
struct Matching {
  std::vector<std::optional<size_t>> of_a;  // its position in B
  std::vector<bool> of_b;                   // whether it is in A
};

Matching Match(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  // Only tensors, which have the number of their shape, stand here twice.
  std::unordered_map<uint64_t, std::vector<size_t>> positions;
  for (size_t i = b.size(); i-- > 0;) positions[b[i]].push_back(i);
  Matching matching;
  matching.of_a.resize(a.size());
  matching.of_b.resize(b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const auto found = positions.find(a[i]);
    if (found == positions.end() || found->second.empty()) continue;
    matching.of_a[i] = found->second.back();
    matching.of_b[found->second.back()] = true;
    found->second.pop_back();
  }
  return matching;
}

class TreeDiff {
 public:
  TreeDiff(const TreeDiffOptions& options, ValueDiff* values,
           const DifferenceSink& sink)
      : options_(options),
        sink_({[this, &sink](Difference difference) {
                 ++found_;
                 sink.differ(std::move(difference));
               },
               [this, &sink](const Path& path, const Status& status) {
                 ++found_;
                 sink.fail(path, status);
               }}),
        tensors_(values, &sink_, {.layout = options.layout}) {}
  TreeDiff(const TreeDiff&) = delete;
  TreeDiff& operator=(const TreeDiff&) = delete;

  void Compare(const Node& a, const Node& b) {
    if (a.none() && b.none()) return;
    if (a.none() || b.none()) return DifferInType(a, b);
    const auto tensor_a = TensorOf(a);
    const auto tensor_b = TensorOf(b);
    if (tensor_a && tensor_b) {
      return tensors_.Compare(path_, *tensor_a, *tensor_b);
    }
    const bool sequences = IsSequence(a) && IsSequence(b);
    if (tensor_a || tensor_b ||
        (a.value().index() != b.value().index() && !sequences)) {
      return DifferInType(a, b);
    }
    if (!IsContainer(a)) return CompareScalars(a, b);

    const auto [known, added] =
        known_.try_emplace({a.identity(), b.identity()}, std::nullopt);
    if (!added) {
      if (!known->second) return;
      return Differ(DifferenceKind::kRepeated, *known->second, *known->second);
    }
    const uint64_t before = found_;
    CompareContainers(a, b);
    if (found_ != before) known->second = NameOf(path_);
  }

  uint64_t tensors() const { return tensors_.compared(); }

 private:
  static std::string NameOf(const Path& path) {
    return path.empty() ? "state" : Abbreviated(Join(path), kMostCharacters);
  }

  void Differ(DifferenceKind kind, std::optional<std::string> a,
              std::optional<std::string> b) {
    sink_.differ({kind, path_, std::move(a), std::move(b)});
  }

  void DifferInType(const Node& a, const Node& b) {
    Differ(DifferenceKind::kType, Brief(a), Brief(b));
  }

  void OnlyInA(const Node& node) {
    Differ(DifferenceKind::kOnlyInA, Brief(node), std::nullopt);
  }
  void OnlyInB(const Node& node) {
    Differ(DifferenceKind::kOnlyInB, std::nullopt, Brief(node));
  }

  // Calls act() with the path one step longer, if there is a step.
  template <class Act>
  void At(const std::optional<PathStep>& step, Act act) {
    if (step) path_.push_back(*step);
    act();
    if (step) path_.pop_back();
  }

  void CompareAt(const std::optional<PathStep>& step, const Node& a,
                 const Node& b) {
    At(step, [&] { Compare(a, b); });
  }

  void CompareScalars(const Node& a, const Node& b) {
    const auto* storage = a.As<StorageHandle>();
    if (storage != nullptr) {
      return CompareStorages(**storage, **b.As<StorageHandle>());
    }
    if (SameBits(a, b)) return;
    auto [in_a, in_b] = BriefPair(a, b);
    Differ(DifferenceKind::kValue, std::move(in_a), std::move(in_b));
  }

  void CompareStorages(const Storage& a, const Storage& b) {
    const auto text = [](const Storage& storage) {
      return "storage of " + std::to_string(storage.region.bytes) + " bytes";
    };
    if (a.region.bytes != b.region.bytes) {
      Differ(DifferenceKind::kValue, text(a), text(b));
    } else if (a.region.bytes > 0) {
      sink_.fail(path_, Status::Unsupported(
                            "a storage without a tensor, whose bytes cannot "
                            "be compared"));
    }
  }

  void CompareContainers(const Node& a, const Node& b) {
    if (const Dict* dict = a.As<Dict>()) {
      const Dict& other = *b.As<Dict>();
      if (dict->ordered != other.ordered) DifferInHead(a, b);
      CompareEntries(dict->entries(), other.entries());
      CompareOptional("_attributes", dict->attributes, other.attributes);
    } else if (const Set* set = a.As<Set>()) {
      if (set->frozen != b.As<Set>()->frozen) DifferInHead(a, b);
      CompareMembers(set->items, b.As<Set>()->items);
    } else if (const Object* object = a.As<Object>()) {
      CompareObjects(a, *object, b, *b.As<Object>());
    } else {
      if (a.value().index() != b.value().index()) DifferInHead(a, b);
      CompareItems(*ItemsOf(a), *ItemsOf(b));
    }
  }

  void DifferInHead(const Node& a, const Node& b) {
    Differ(DifferenceKind::kType, HeadText(a), HeadText(b));
  }

  // None stands for nothing at all.
  void CompareOptional(const char* step, const Node& a, const Node& b) {
    At(std::string(step), [&] {
      if (a.none() == b.none()) return Compare(a, b);
      if (b.none()) return OnlyInA(a);
      OnlyInB(b);
    });
  }

  void CompareItems(const std::vector<Node>& a, const std::vector<Node>& b) {
    const size_t common = std::min(a.size(), b.size());
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      At(static_cast<int64_t>(i), [&] {
        if (i < common) return Compare(a[i], b[i]);
        if (i < a.size()) return OnlyInA(a[i]);
        OnlyInB(b[i]);
      });
    }
  }

  void CompareEntries(const std::vector<Dict::Entry>& a,
                      const std::vector<Dict::Entry>& b) {
    const auto ids_of = [&](const std::vector<Dict::Entry>& entries) {
      std::vector<uint64_t> ids;
      ids.reserve(entries.size());
      for (const auto& [key, unused] : entries) ids.push_back(ids_.Of(key));
      return ids;
    };
    const Matching matching = Match(ids_of(a), ids_of(b));
    if (options_.order) CompareOrder(matching, a, b);
    for (size_t i = 0; i < a.size(); ++i) {
      At(StepOf(a[i].first), [&] {
        if (!matching.of_a[i]) return OnlyInA(a[i].second);
        const Dict::Entry& other = b[*matching.of_a[i]];
        CompareHeldByKey(a[i].first, other.first);
        Compare(a[i].second, other.second);
      });
    }
    for (size_t i = 0; i < b.size(); ++i) {
      if (matching.of_b[i]) continue;
      At(StepOf(b[i].first), [&] { OnlyInB(b[i].second); });
    }
  }

  // Keys that match may still hold tensors with other values.
  void CompareHeldByKey(const Node& a, const Node& b) {
    if (!a.none() && (IsContainer(a) || IsTensor(a))) Compare(a, b);
  }

  // The keys that both have.
  void CompareOrder(const Matching& matching, const std::vector<Dict::Entry>& a,
                    const std::vector<Dict::Entry>& b) {
    std::vector<size_t> in_a;  // their positions in B, in the order of A
    for (const auto& position : matching.of_a) {
      if (position) in_a.push_back(*position);
    }
    std::vector<size_t> in_b = in_a;
    std::ranges::sort(in_b);
    const auto [first_a, first_b] = std::ranges::mismatch(in_a, in_b);
    if (first_a == in_a.end()) return;
    const auto is_first = [&, first = *first_a](const auto& position) {
      return position == first;
    };
    const auto at = std::ranges::find_if(matching.of_a, is_first);
    const auto i = static_cast<size_t>(at - matching.of_a.begin());
    Differ(DifferenceKind::kOrder, KeyText(a[i].first),
           KeyText(b[*first_b].first));
  }

  void CompareMembers(const std::vector<Node>& a, const std::vector<Node>& b) {
    const auto ids_of = [&](const std::vector<Node>& items) {
      std::vector<uint64_t> ids;
      for (const Node& item : items) ids.push_back(ids_.Of(item));
      return ids;
    };
    const Matching matching = Match(ids_of(a), ids_of(b));
    for (size_t i = 0; i < a.size(); ++i) {
      if (matching.of_a[i]) {
        CompareHeldByKey(a[i], b[*matching.of_a[i]]);
      } else {
        OnlyInA(a[i]);
      }
    }
    for (size_t i = 0; i < b.size(); ++i) {
      if (!matching.of_b[i]) OnlyInB(b[i]);
    }
  }

  void CompareObjects(const Node& node_a, const Object& a, const Node& node_b,
                      const Object& b) {
    if (ids_.Of(a.callable) != ids_.Of(b.callable)) {
      return DifferInType(node_a, node_b);
    }
    if (a.made != b.made) {
      const auto how = [](const Object& object) {
        return object.made == Object::Made::kByCall ? "made by a call"
                                                    : "made by __new__";
      };
      return Differ(DifferenceKind::kType, how(a), how(b));
    }
    // A torch.Size is better shown as a whole.
    constexpr size_t kWidth = 60;
    const auto text_a = ShortText(node_a, kWidth);
    const auto text_b = ShortText(node_b, kWidth);
    if (text_a && text_b && *text_a != *text_b) {
      return Differ(DifferenceKind::kValue, *text_a, *text_b);
    }
    CompareParts(PartsOf(a), PartsOf(b));
    CompareItems(a.items, b.items);
    CompareEntries(a.entries, b.entries);
    if (a.has_state && b.has_state) {
      Compare(a.state, b.state);
    } else if (a.has_state || b.has_state) {
      At(std::string("state"),
         [&] { a.has_state ? OnlyInA(a.state) : OnlyInB(b.state); });
    }
  }

  void CompareParts(const std::vector<ObjectPart>& a,
                    const std::vector<ObjectPart>& b) {
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      At(i < a.size() ? a[i].step : b[i].step, [&] {
        if (i >= a.size()) return OnlyInB(*b[i].node);
        if (i >= b.size()) return OnlyInA(*a[i].node);
        Compare(*a[i].node, *b[i].node);
      });
    }
  }

  const TreeDiffOptions options_;
  uint64_t found_ = 0;  // differences, and what could not be compared
  const DifferenceSink sink_;
  TensorDiff tensors_;
  ValueIds ids_;
  Path path_;
  // Pairs of containers, with the name of the first of those that differed.
  std::map<std::pair<const void*, const void*>, std::optional<std::string>>
      known_;
};

}  // namespace

uint64_t DiffTrees(const State& a, const State& b,
                   const TreeDiffOptions& options, ValueDiff* values,
                   const DifferenceSink& sink) {
  TreeDiff diff(options, values, sink);
  diff.Compare(a.root, b.root);
  return diff.tensors();
}

}  // namespace caisson::cli
