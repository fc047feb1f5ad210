// What is computed with SIMD instructions: the functions that exist once per target.
//
// kernels.cpp is compiled several times, for older and newer CPUs (targets), each time
// into a table of functions; simd.h chooses one of the tables when the program runs.
// Only plain structs and pointers cross this border, and no header of the standard
// library with code in it is included behind it: the linker may merge two copies of an
// inline function, and must not pick one with AVX instructions for everybody.
#pragma once

#include <cstdint>

namespace streamsed {

// The constants of a windowed real FFT of n_fft samples in rows of n_lanes (fft.h).
struct FftTables {
  std::int64_t n_fft;
  std::int64_t n_lanes;
  const float* window;           // n_fft
  const float* column_twiddles;  // in the order of their use: real, imaginary
  const float* split_twiddles;   // n_rows / 2 + 1 of: real, imaginary
  const float* lane_twiddles;    // n_rows of: n_lanes reals, n_lanes imaginaries
  const float* middle_matrix;    // n_lanes rows of n_lanes
};

// The constants of a mel filterbank for vectors of n_lanes bins (mel.h).
struct MelTables {
  std::int64_t n_mels;
  std::int64_t n_groups;  // of n_lanes bands each, the last filled up with zeros
  const std::int64_t* first_bins;  // n_lanes of them per group
  const std::int64_t* n_vectors;   // weights of each band of a group, in vectors
  const float* weights;            // n_vectors rows of n_lanes vectors per group
  float amin;                      // power; the floor of the decibels
};

struct Kernels {
  const char* name;
  std::int64_t n_lanes;  // floats in a register

  // Write the decibels (n_frames, n_mels) of the windows that begin at samples[0],
  // samples[hop_length], ... Two buffers from the caller: `work` of 2 * n_fft or
  // n_groups * n_lanes floats, whichever is more, and `powers`, MelPlan::n_powers
  // zeros.
  void (*log_mel)(const FftTables& fft, const MelTables& mel, const float* samples,
                  std::int64_t hop_length, std::int64_t n_frames, float* work,
                  float* powers, float* decibels) noexcept;

  // Write the triple normalisation (triple_norm_kernel.h) of frames (n_frames, n_mels),
  // neither of them 0; `extremes` is scratch of 2 * n_mels floats. False, and nothing
  // written, where the frames or their range are not finite.
  bool (*triple_norm)(const float* frames, std::int64_t n_frames, std::int64_t n_mels,
                      float top_db, float* extremes, float* out) noexcept;
};

namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}

}  // namespace streamsed
