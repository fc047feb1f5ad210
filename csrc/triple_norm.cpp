#include "triple_norm.h"

#include <algorithm>
#include <limits>

namespace streamsed {
namespace {

// 1 / range, or 0 where there is no range to speak of.
float scale(float lowest, float highest) {
  const float range = highest - lowest;
  return range >= std::numeric_limits<float>::min() ? 1.0F / range : 0.0F;
}

}  // namespace

void triple_norm(const float* frames, std::int64_t n_frames, std::int64_t n_mels,
                 float top_db, float* extremes, float* out) noexcept {
  if (n_frames == 0 || n_mels == 0) return;
  float* lowest = extremes;
  float* scales = extremes + n_mels;
  std::copy_n(frames, n_mels, lowest);
  std::copy_n(frames, n_mels, scales);
  for (std::int64_t i = 1; i < n_frames; ++i) {
    for (std::int64_t b = 0; b < n_mels; ++b) {
      lowest[b] = std::min(lowest[b], frames[i * n_mels + b]);
      scales[b] = std::max(scales[b], frames[i * n_mels + b]);
    }
  }
  const float top = *std::max_element(scales, scales + n_mels);
  const float floor = top - top_db;
  const float bottom = std::max(floor, *std::min_element(lowest, lowest + n_mels));
  const float all_scale = scale(bottom, top);
  for (std::int64_t b = 0; b < n_mels; ++b) {
    lowest[b] = std::max(floor, lowest[b]);
    scales[b] = scale(lowest[b], std::max(floor, scales[b]));
  }
  for (std::int64_t i = 0; i < n_frames; ++i) {
    const float* row = frames + i * n_mels;
    const auto [low, high] = std::minmax_element(row, row + n_mels);
    const float row_lowest = std::max(floor, *low);
    const float row_scale = scale(row_lowest, std::max(floor, *high));
    for (std::int64_t b = 0; b < n_mels; ++b) {
      const float value = std::max(floor, row[b]);
      out[i * n_mels + b] = (value - row_lowest) * row_scale *
                            ((value - lowest[b]) * scales[b]) *
                            ((value - bottom) * all_scale);
    }
  }
}

}  // namespace streamsed
