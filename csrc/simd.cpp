#include "simd.h"

#include <algorithm>
#include <stdexcept>

namespace streamsed {
namespace {

std::vector<const Kernels*> supported() {
  std::vector<const Kernels*> found = {&baseline::kernels};
#ifdef STREAMSED_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(&avx2::kernels);
    // When emulated, the 16 lanes are compiled for AVX2.
#ifndef STREAMSED_EMULATE_AVX512
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl")) {
      return found;
    }
#endif
    found.push_back(&avx512::kernels);
  }
#endif
  return found;
}

}  // namespace

std::vector<std::string> simd_targets() {
  std::vector<std::string> names;
  for (const Kernels* kernels : supported()) names.emplace_back(kernels->name);
  return names;
}

const Kernels& kernels_for(const std::string& simd) {
  const std::vector<const Kernels*> found = supported();
  if (simd == "auto") return *found.back();
  std::string names = "auto";
  for (const Kernels* kernels : found) {
    if (simd == kernels->name) return *kernels;
    names += std::string(", ") + kernels->name;
  }
  // A name with control characters is not for a terminal.
  const bool plain =
      simd.size() <= 32 &&
      std::all_of(simd.begin(), simd.end(), [](char c) { return c > ' ' && c < 127; });
  throw std::invalid_argument("simd" + (plain ? "=" + simd : "") +
                              " must be one of those that run here: " + names);
}

}  // namespace streamsed
