// Samples to decibel mel frames, incrementally.
//
// Frame i is centred on sample i * hop_length of the recording: its window covers the
// samples [i * hop_length - n_fft / 2, i * hop_length + n_fft / 2). Before the first
// sample and after the last one there are zeros.
//
//   zeros |0        hop      2 hop              samples pushed so far
//   ......|---------|---------|--------------------------|
//   [   frame 0   )
//            [   frame 1   )
//                      [   frame 2   )
//                                 ^ the tail, kept until the next push, begins where
//                                   the window of the next frame does
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fft.h"
#include "floats.h"
#include "kernels/kernels.h"
#include "mel.h"

namespace streamsed {

struct LogMelSettings {
  std::int64_t sample_rate;  // Hz
  std::int64_t n_fft;        // samples, a power of two
  std::int64_t win_length;   // samples, at most n_fft; the Hann window is periodic
  std::int64_t hop_length;   // samples between the centres of successive frames
  std::int64_t n_mels;       // bands
  double fmin, fmax;         // Hz
  float amin;                // power; the floor of the decibels
};

class LogMel {
 public:
  // Throws std::invalid_argument, naming the setting that is out of range.
  LogMel(const LogMelSettings& settings, const Kernels& kernels);

  std::int64_t n_mels() const noexcept { return settings_.n_mels; }
  std::int64_t latency() const noexcept { return settings_.n_fft / 2; }
  std::int64_t n_samples() const noexcept { return n_samples_; }
  std::int64_t n_frames() const noexcept { return n_frames_; }
  bool flushed() const noexcept { return flushed_; }
  const char* simd() const noexcept { return kernels_->name; }

  // How many frames `push` of so many samples, or `flush`, will write.
  std::int64_t frames_after(std::int64_t n_new_samples) const noexcept;
  std::int64_t frames_after_flush() const noexcept;

  // Write the frames whose whole window has now arrived: frames_after(chunk.size())
  // rows of n_mels decibels. Not to be called after `flush`, until `reset`.
  void push(std::span<const float> chunk, float* frames) noexcept;
  // Write the frames that reach past the end of the recording: frames_after_flush()
  // rows.
  void flush(float* frames) noexcept;
  void reset() noexcept;

 private:
  std::int64_t compute(const float* samples, std::int64_t n_samples,
                       float* frames) noexcept;

  LogMelSettings settings_;
  const Kernels* kernels_;
  FftPlan fft_;
  MelPlan mel_;
  Floats work_, powers_;  // see Kernels::log_mel
  // The samples from the start of the next frame's window on: always fewer than n_fft
  // between calls, with room for n_fft more.
  Floats tail_;
  std::int64_t n_tail_ = 0;
  std::int64_t n_samples_ = 0;
  std::int64_t n_frames_ = 0;
  bool flushed_ = false;
};

}  // namespace streamsed
