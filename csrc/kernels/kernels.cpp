// Compiled once per target: STREAMSED_TARGET names it, STREAMSED_LANES is the number of
// floats in its registers, and the compiler's flags allow its instructions.
#include "kernels.h"

#include "fft_kernel.h"
#include "mel_kernel.h"
#include "triple_norm_kernel.h"

#define STREAMSED_STRING(name) #name
#define STREAMSED_NAME(name) STREAMSED_STRING(name)

namespace streamsed {
namespace {

template <int L>
void log_mel_frames(const FftTables& fft, const MelTables& mel, const float* samples,
                    std::int64_t hop_length, std::int64_t n_frames, float* work,
                    float* powers, float* decibels) {
  for (std::int64_t i = 0; i < n_frames; ++i) {
    power_spectrum<L>(fft, samples + i * hop_length, work, powers);
    mel_decibels<L>(mel, powers, work, decibels + i * mel.n_mels);
  }
}

// An FFT too short for full registers (fft.h) makes do with fewer lanes.
void log_mel(const FftTables& fft, const MelTables& mel, const float* samples,
             std::int64_t hop_length, std::int64_t n_frames, float* work, float* powers,
             float* decibels) noexcept {
  constexpr int kLanes = STREAMSED_LANES;
  if (fft.n_lanes == kLanes) {
    log_mel_frames<kLanes>(fft, mel, samples, hop_length, n_frames, work, powers,
                           decibels);
  } else {
    log_mel_frames<4>(fft, mel, samples, hop_length, n_frames, work, powers, decibels);
  }
}

bool triple_norm(const float* frames, std::int64_t n_frames, std::int64_t n_mels,
                 float top_db, float* extremes, float* out) noexcept {
  return triple_norm_lanes<STREAMSED_LANES>(frames, n_frames, n_mels, top_db, extremes,
                                            out);
}

}  // namespace

namespace STREAMSED_TARGET {
const Kernels kernels = {STREAMSED_NAME(STREAMSED_TARGET), STREAMSED_LANES, log_mel,
                         triple_norm};
}

}  // namespace streamsed
