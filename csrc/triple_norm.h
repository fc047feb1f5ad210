// A segment of decibel frames to the network's input in [0, 1].
#pragma once

#include <cstdint>

namespace streamsed {

// Write to `out` the product of three min-max scalings of `frames`, both (n_frames,
// n_mels) and contiguous: per frame, per mel band and over everything. Before that,
// nothing is lower than the maximum of the segment minus `top_db`. A frame, a band or a
// segment without range scales to 0.
//
// `extremes` is the caller's scratch: 2 * n_mels floats.
void triple_norm(const float* frames, std::int64_t n_frames, std::int64_t n_mels,
                 float top_db, float* extremes, float* out) noexcept;

}  // namespace streamsed
