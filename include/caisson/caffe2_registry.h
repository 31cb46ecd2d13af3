// SPDX-License-Identifier: Apache-2.0
//
// Blobs, and who turns a type into records and back. Names are Caffe2's.
//
// Thread safety: registries may be used from any thread; a Blob follows the
// rules of a plain container.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "caisson/caffe2_messages.h"
#include "caisson/status.h"

namespace caisson::caffe2 {

// What names a C++ type.
using TypeIdentifier = std::type_index;
template <class T>
TypeIdentifier TypeId() {
  return TypeIdentifier(typeid(T));
}

// Holds an object of any type, or nothing.
class Blob {
 public:
  bool empty() const { return object_ == nullptr; }
  TypeIdentifier type() const { return type_; }  // of void if it is empty

  template <class T>
  bool IsType() const {
    return !empty() && type_ == TypeId<T>();
  }

  // The object, or nullptr if it is of another type.
  template <class T>
  const T* Get() const {
    return IsType<T>() ? static_cast<const T*>(object_.get()) : nullptr;
  }

  // The object, made, and what was there dropped, if it is of another type.
  template <class T>
  T* GetMutable() {
    if (!IsType<T>()) Set(T());
    return static_cast<T*>(object_.get());
  }

  template <class T>
  void Set(T value) {
    object_ = std::make_shared<T>(std::move(value));
    type_ = TypeId<T>();
  }
  void Reset() { *this = Blob(); }

 private:
  std::shared_ptr<void> object_;
  TypeIdentifier type_ = TypeId<void>();
};

// Gets the records of a blob, in order: a key and an encoded BlobMessage.
using SerializationAcceptor =
    std::function<Status(const std::string& key, std::string data)>;

enum class FloatFormat : uint8_t { kDefault, kProtobuf, kBFloat16 };

struct BlobSerializationOptions {
  std::string blob_name_regex;  // that must match the whole name; empty: all
  int64_t chunk_size = 0;       // elements; 0: a million; -1: all in one
  FloatFormat float_format = FloatFormat::kDefault;

  // Caffe2's flags: types of 1 and 2 bytes as bytes rather than as varints, all
  // of them (caffe2_serialize_using_bytes_as_holder) or float16 alone
  // (caffe2_serialize_fp16_as_bytes).
  bool bytes_as_holder = false;
  bool fp16_as_bytes = false;
};

class BlobSerializerBase {
 public:
  virtual ~BlobSerializerBase() = default;

  // Hands the records of `blob`, which has the type that this was registered
  // for, to `acceptor`, and returns its first error.
  virtual Status Serialize(const Blob& blob, const std::string& name,
                           const SerializationAcceptor& acceptor,
                           const BlobSerializationOptions& options) = 0;
};

class BlobDeserializerBase {
 public:
  virtual ~BlobDeserializerBase() = default;

  // Brings one record into `blob`: called once for each chunk, in any order.
  virtual Status Deserialize(const BlobMessage& proto, Blob* blob) = 0;
};

enum RegistryPriority : int {
  kRegistryFallback = 1,
  kRegistryDefault = 2,
  kRegistryPreferred = 3,
};

// Who makes objects for a key. A higher priority replaces a lower one, a lower
// one is ignored with a warning, and after an equal one the key is an error,
// which every Create() of it answers.
template <class Key, class Object>
class Registry {
 public:
  using Creator = std::function<std::unique_ptr<Object>()>;

  Status Register(const Key& key, Creator creator, int priority,
                  const std::string& name) {
    const std::lock_guard hold(lock_);
    const auto [entry, added] = entries_.try_emplace(key);
    Entry& known = entry->second;
    if (!added && priority < known.priority) {
      warnings_.push_back(name + ": ignored, as one of a higher priority is " +
                          "registered");
      return Status::Ok();
    }
    if (!added && priority == known.priority) {
      known.error = Status::InvalidArgument(name + ": registered twice with " +
                                            "one priority");
      return known.error;
    }
    known = {std::move(creator), priority, Status::Ok()};
    return Status::Ok();
  }

  // kNotFound if nobody registered the key.
  Result<std::unique_ptr<Object>> Create(const Key& key) const {
    const std::lock_guard hold(lock_);
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return Status::NotFound("not registered");
    if (!entry->second.error.ok()) return entry->second.error;
    return entry->second.creator();
  }

  std::vector<std::string> warnings() const {
    const std::lock_guard hold(lock_);
    return warnings_;
  }

 private:
  struct Entry {
    Creator creator;
    int priority = 0;
    Status error;
  };
  mutable std::mutex lock_;
  std::map<Key, Entry> entries_;
  std::vector<std::string> warnings_;
};

// The two of this process: serializers by type, deserializers by the type
// string of a record; for tensors "TensorCPU" and "TensorCUDA".
Registry<TypeIdentifier, BlobSerializerBase>& BlobSerializerRegistry();
Registry<std::string, BlobDeserializerBase>& BlobDeserializerRegistry();

}  // namespace caisson::caffe2

#define CAISSON_CAFFE2_PASTE_(a, b) a##b
#define CAISSON_CAFFE2_PASTE(a, b) CAISSON_CAFFE2_PASTE_(a, b)

// At namespace scope: REGISTER_BLOB_SERIALIZER((TypeId<T>()), TSerializer).
#define REGISTER_BLOB_SERIALIZER_WITH_PRIORITY(id, priority, ...)              \
  static const ::caisson::Status CAISSON_CAFFE2_PASTE(serializer_, __LINE__) = \
      ::caisson::caffe2::BlobSerializerRegistry().Register(                    \
          id, [] { return std::make_unique<__VA_ARGS__>(); }, priority, #id)
#define REGISTER_BLOB_SERIALIZER(id, ...) \
  REGISTER_BLOB_SERIALIZER_WITH_PRIORITY( \
      id, ::caisson::caffe2::kRegistryDefault, __VA_ARGS__)

// REGISTER_BLOB_DESERIALIZER(T, TDeserializer): for records of the type "T".
#define REGISTER_BLOB_DESERIALIZER_WITH_PRIORITY(type, priority, ...)      \
  static const ::caisson::Status CAISSON_CAFFE2_PASTE(deserializer_,       \
                                                      __LINE__) =          \
      ::caisson::caffe2::BlobDeserializerRegistry().Register(              \
          #type, [] { return std::make_unique<__VA_ARGS__>(); }, priority, \
          #type)
#define REGISTER_BLOB_DESERIALIZER(type, ...) \
  REGISTER_BLOB_DESERIALIZER_WITH_PRIORITY(   \
      type, ::caisson::caffe2::kRegistryDefault, __VA_ARGS__)
