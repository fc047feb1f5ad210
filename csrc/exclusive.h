// Lets only one thread at a time use an object with state.
//
// A lock would let it wait, and the stream would then be a mixture of two recordings in
// an order that nobody chose. So that is an error of the caller, and is reported as
// one:
//
//   thread 1   |--- push ---|      |--- push ---|
//   thread 2        push: InUse       |                 push after 1 has returned: fine
//
// The flag is one uncontended atomic exchange per call. The objects themselves stay
// plain, and their process functions free of locks.
#pragma once

#include <atomic>
#include <stdexcept>
#include <string>
#include <utility>

namespace streamsed {

struct InUse : std::runtime_error {
  explicit InUse(const std::string& name)
      : std::runtime_error(name +
                           " is in use by another thread; give each thread its own") {}
};

template <typename T>
class Exclusive {
 public:
  // The right to use the object, until the end of the scope.
  class Use {
   public:
    // Throws InUse while another Use of the same object exists.
    explicit Use(Exclusive& owner) : owner_(owner) {
      if (owner_.busy_.exchange(true, std::memory_order_acquire)) {
        throw InUse(owner_.name_);
      }
    }
    ~Use() { owner_.busy_.store(false, std::memory_order_release); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    T& operator*() const noexcept { return owner_.object_; }
    T* operator->() const noexcept { return &owner_.object_; }

   private:
    Exclusive& owner_;
  };

  // `name` is what the error calls the object.
  Exclusive(const char* name, T object) : name_(name), object_(std::move(object)) {}

  // For what never changes after construction, and is thus safe to read at any time.
  const T& constant() const noexcept { return object_; }

 private:
  const char* name_;
  std::atomic<bool> busy_ = false;
  T object_;
};

}  // namespace streamsed
