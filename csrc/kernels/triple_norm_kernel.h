// A segment of decibel frames to the network's input in [0, 1]: the product of three
// min-max scalings, per frame (over the mel bands), per mel band (over time) and over
// everything. Before that, nothing is lower than the segment's maximum minus `top_db`;
// as clipping is monotone, it is enough to clip the extremes and, last, the values.
#pragma once

#include "kernels.h"
#include "vec.h"

namespace streamsed {
namespace {

inline float smaller(float a, float b) { return b < a ? b : a; }
inline float larger(float a, float b) { return b > a ? b : a; }

// Where a range of values begins, and what stretches it to [0, 1].
struct Scaling {
  float lowest, scale;
};

// A range too small to have a float inverse counts as none, and scales to 0.
inline Scaling scaling(float lowest, float highest, float floor) {
  const float from = larger(lowest, floor);
  const float range = larger(highest, floor) - from;
  return {from, range >= 1.17549435e-38F ? 1 / range : 0};
}

// Smallest and largest of n values; the Vec part takes L at a time.
template <int L>
inline void row_extremes(const float* row, std::int64_t n, float& lowest,
                         float& highest) {
  lowest = highest = row[0];
  std::int64_t i = 0;
  if (n >= L) {
    Vec<L> low = load<L>(row), high = low;
    for (i = L; i + L <= n; i += L) {
      low = min<L>(low, load<L>(row + i));
      high = max<L>(high, load<L>(row + i));
    }
    for (int l = 0; l < L; ++l) {
      lowest = smaller(lowest, low[l]);
      highest = larger(highest, high[l]);
    }
  }
  for (; i < n; ++i) {
    lowest = smaller(lowest, row[i]);
    highest = larger(highest, row[i]);
  }
}

// Smallest and largest of each of n_mels columns; false if there is a NaN, which
// compares false with anything and so would slip through. Four rows at a time, as that
// saves loads and stores of the extremes.
inline bool column_extremes(const float* frames, std::int64_t n_frames,
                            std::int64_t n_mels, float* lowest, float* highest) {
  for (std::int64_t b = 0; b < n_mels; ++b) lowest[b] = highest[b] = frames[b];
  int unordered = 0;
  for (std::int64_t i = 0; i < n_frames; i += 4) {
    const std::int64_t last = n_frames - 1;
    const auto row = [&](std::int64_t j) {
      return frames + (j < last ? j : last) * n_mels;
    };
    const float *w = row(i), *x = row(i + 1), *y = row(i + 2), *z = row(i + 3);
    for (std::int64_t b = 0; b < n_mels; ++b) {
      unordered |=
          __builtin_isunordered(w[b], x[b]) | __builtin_isunordered(y[b], z[b]);
      lowest[b] = smaller(lowest[b], smaller(smaller(w[b], x[b]), smaller(y[b], z[b])));
      highest[b] = larger(highest[b], larger(larger(w[b], x[b]), larger(y[b], z[b])));
    }
  }
  return unordered == 0;
}

// False, and nothing written, unless all frames and their range are finite.
template <int L>
inline bool triple_norm_lanes(const float* frames, std::int64_t n_frames,
                              std::int64_t n_mels, float top_db, float* extremes,
                              float* out) {
  float* lowest = extremes;           // per mel band
  float* scales = extremes + n_mels;  // per mel band; the maxima until they are known
  if (!column_extremes(frames, n_frames, n_mels, lowest, scales)) return false;

  float bottom, top, unused;
  row_extremes<L>(lowest, n_mels, bottom, unused);
  row_extremes<L>(scales, n_mels, unused, top);
  if (!(top - bottom <= 3.40282347e+38F)) return false;  // infinite, or soon
  const float floor = top - top_db;
  const Scaling all = scaling(bottom, top, floor);
  for (std::int64_t b = 0; b < n_mels; ++b) {
    const Scaling band = scaling(lowest[b], scales[b], floor);
    lowest[b] = band.lowest;
    scales[b] = band.scale;
  }

  for (std::int64_t i = 0; i < n_frames; ++i) {
    const float* row = frames + i * n_mels;
    float* scaled = out + i * n_mels;
    float low, high;
    row_extremes<L>(row, n_mels, low, high);
    const Scaling frame = scaling(low, high, floor);
    for (std::int64_t b = 0; b < n_mels; ++b) {
      const float value = larger(row[b], floor);
      scaled[b] = (value - frame.lowest) * frame.scale *
                  ((value - lowest[b]) * scales[b]) *
                  ((value - all.lowest) * all.scale);
    }
  }
  return true;
}

}  // namespace
}  // namespace streamsed
