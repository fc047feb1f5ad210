// A vector of floats that begins at a cache line, as SIMD loads like it.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace streamsed {

template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kCacheLine{64};

  CacheLineAllocator() = default;
  template <typename U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) noexcept {}

  T* allocate(std::size_t n) {
    return static_cast<T*>(::operator new(n * sizeof(T), kCacheLine));
  }
  void deallocate(T* floats, std::size_t) noexcept {
    ::operator delete(floats, kCacheLine);
  }
  bool operator==(const CacheLineAllocator&) const = default;
};

using Floats = std::vector<float, CacheLineAllocator<float>>;

}  // namespace streamsed
