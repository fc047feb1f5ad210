// Powers of one window to decibels of mel bands.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace streamsed {
namespace {

// 10 log10(x) of positive, normal floats, to about 1e-5 dB.
//
// x = m 2^e with m in [sqrt(1/2), sqrt(2)), read from the bits of x. For m use
// ln m = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + s^7/7 + ...), s = (m - 1) / (m + 1):
// |s| <= 0.172, so that the first term left out is below 3e-8.
template <int L>
inline Vec<L> decibels(Vec<L> x) {
  constexpr int kBitsOfHalfRoot = 0x3f3504f3;           // sqrt(1/2) as a float
  constexpr float kPerDoubling = 3.01029995663981195F;  // 10 log10(2)
  constexpr float kPerArtanh = 8.68588963806503655F;    // 20 / ln(10)
  const auto bits = __builtin_bit_cast(IntVec<L>, x);
  const IntVec<L> e = (bits - kBitsOfHalfRoot) >> 23;
  const auto m = __builtin_bit_cast(Vec<L>, bits - (e << 23));
  const Vec<L> s = (m - 1) / (m + 1);
  const Vec<L> s2 = s * s;
  const Vec<L> artanh = s * (1 + s2 * (1.0F / 3 + s2 * (1.0F / 5 + s2 * (1.0F / 7))));
  return __builtin_convertvector(e, Vec<L>) * kPerDoubling + artanh * kPerArtanh;
}

// The weighted sums of L bands side by side, one vector of bins at a time each; the
// bands of a group have about the same width, so that little is padding. The logarithms
// are a loop of their own, as each is a long chain of instructions: so they overlap.
template <int L>
inline void mel_decibels(const MelTables& mel, const float* powers, float* sums,
                         float* out) {
  const float* weights = mel.weights;
  for (std::int64_t g = 0; g < mel.n_groups; ++g) {
    const std::int64_t* first_bins = mel.first_bins + g * L;
    Vec<L> bands[L] = {};
    for (std::int64_t v = 0; v < mel.n_vectors[g]; ++v, weights += L * L) {
      for (int b = 0; b < L; ++b) {
        bands[b] += load<L>(weights + L * b) * load<L>(powers + first_bins[b] + L * v);
      }
    }
    store<L>(sums + g * L, sum_lanes<L>(bands));
  }
  const Vec<L> floor = Vec<L>{} + mel.amin;
  std::int64_t i = 0;
  for (; i + L <= mel.n_mels; i += L) {
    store<L>(out + i, decibels<L>(max<L>(load<L>(sums + i), floor)));
  }
  if (i < mel.n_mels) {
    const Vec<L> rest = decibels<L>(max<L>(load<L>(sums + i), floor));
    for (int b = 0; i + b < mel.n_mels; ++b) out[i + b] = rest[b];
  }
}

}  // namespace
}  // namespace streamsed
