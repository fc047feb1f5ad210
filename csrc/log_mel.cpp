#include "log_mel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <sstream>
#include <stdexcept>
#include <string>

namespace streamsed {
namespace {

// Far beyond any use, and small enough that no setting asks for much memory: a flush
// writes up to 1 + n_fft / 2 frames, 0.5 GB at the very most.
constexpr std::int64_t kMaxSampleRate = 10'000'000;
constexpr std::int64_t kMaxMels = 4096;

template <typename Value>
void require(bool condition, const char* name, Value value, const std::string& rule) {
  if (condition) return;
  std::ostringstream message;
  message << name << "=" << value << " must " << rule;
  throw std::invalid_argument(message.str());
}

LogMelSettings checked(const LogMelSettings& s) {
  require(s.sample_rate >= 1 && s.sample_rate <= kMaxSampleRate, "sample_rate",
          s.sample_rate, "be from 1 to " + std::to_string(kMaxSampleRate) + " Hz");
  require(s.n_fft >= 64 && s.n_fft <= 65536 && (s.n_fft & (s.n_fft - 1)) == 0, "n_fft",
          s.n_fft, "be a power of two from 64 to 65536");
  const std::string up_to_n_fft = "be from 1 to n_fft=" + std::to_string(s.n_fft);
  require(s.win_length >= 1 && s.win_length <= s.n_fft, "win_length", s.win_length,
          up_to_n_fft);
  require(s.hop_length >= 1 && s.hop_length <= s.n_fft, "hop_length", s.hop_length,
          up_to_n_fft);
  require(s.n_mels >= 1 && s.n_mels <= kMaxMels, "n_mels", s.n_mels,
          "be from 1 to " + std::to_string(kMaxMels));
  require(s.fmin >= 0, "fmin", s.fmin, "be at least 0");
  require(
      s.fmax > s.fmin && s.fmax <= static_cast<double>(s.sample_rate) / 2, "fmax",
      s.fmax,
      "be above fmin and at most half of sample_rate=" + std::to_string(s.sample_rate));
  require(s.amin >= std::numeric_limits<float>::min() && std::isfinite(s.amin), "amin",
          s.amin, "be a normal, positive float");
  return s;
}

// A periodic Hann window of win_length in the middle of n_fft zeros.
std::vector<float> hann(std::int64_t win_length, std::int64_t n_fft) {
  std::vector<float> window(static_cast<std::size_t>(n_fft), 0.0F);
  const std::int64_t start = (n_fft - win_length) / 2;
  for (std::int64_t i = 0; i < win_length; ++i) {
    const double phase =
        2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(win_length);
    window[static_cast<std::size_t>(start + i)] =
        win_length == 1 ? 1.0F : static_cast<float>(0.5 - 0.5 * std::cos(phase));
  }
  return window;
}

// How many windows of n_fft samples, hop_length apart, fit into n_samples.
std::int64_t n_windows(std::int64_t n_samples, std::int64_t n_fft,
                       std::int64_t hop_length) {
  return n_samples < n_fft ? 0 : 1 + (n_samples - n_fft) / hop_length;
}

}  // namespace

LogMel::LogMel(const LogMelSettings& settings, const Kernels& kernels)
    : settings_(checked(settings)),
      kernels_(&kernels),
      fft_(hann(settings.win_length, settings.n_fft), kernels.n_lanes),
      mel_(mel_bands(settings.sample_rate, settings.n_fft, settings.n_mels,
                     settings.fmin, settings.fmax),
           settings.n_fft, settings.amin, fft_.n_lanes()),
      work_(static_cast<std::size_t>(
          std::max(2 * settings.n_fft, mel_.tables().n_groups * fft_.n_lanes()))),
      powers_(static_cast<std::size_t>(mel_.n_powers())),
      tail_(static_cast<std::size_t>(2 * settings.n_fft)) {
  reset();
}

std::int64_t LogMel::frames_after(std::int64_t n_new_samples) const noexcept {
  return n_windows(n_tail_ + n_new_samples, settings_.n_fft, settings_.hop_length);
}

std::int64_t LogMel::frames_after_flush() const noexcept {
  return flushed_ || n_samples_ == 0 ? 0 : frames_after(settings_.n_fft / 2);
}

void LogMel::push(std::span<const float> chunk, float* frames) noexcept {
  const std::int64_t n_fft = settings_.n_fft, hop_length = settings_.hop_length;
  const float* samples = chunk.data();
  auto n = static_cast<std::int64_t>(chunk.size());
  n_samples_ += n;

  // First the windows that begin in the tail: n_fft samples more are all they can need.
  const std::int64_t n_joined = std::min(n, n_fft);
  std::copy_n(samples, n_joined, tail_.data() + n_tail_);
  const std::int64_t start =
      hop_length * compute(tail_.data(), n_tail_ + n_joined, frames);
  if (n < n_fft) {
    n_tail_ += n - start;
    std::copy_n(tail_.data() + start, n_tail_, tail_.data());
    return;
  }
  // The next window begins in the chunk: from here on nothing is copied but the rest.
  frames += start / hop_length * settings_.n_mels;
  samples += start - n_tail_;
  n -= start - n_tail_;
  const std::int64_t rest = hop_length * compute(samples, n, frames);
  n_tail_ = n - rest;
  std::copy_n(samples + rest, n_tail_, tail_.data());
}

void LogMel::flush(float* frames) noexcept {
  if (frames_after_flush() > 0) {
    std::fill_n(tail_.data() + n_tail_, settings_.n_fft / 2, 0.0F);
    compute(tail_.data(), n_tail_ + settings_.n_fft / 2, frames);
  }
  flushed_ = true;
}

void LogMel::reset() noexcept {
  n_tail_ = settings_.n_fft / 2;
  std::fill_n(tail_.data(), n_tail_, 0.0F);
  n_samples_ = n_frames_ = 0;
  flushed_ = false;
}

// Write the frames of all windows inside the samples; return how many.
std::int64_t LogMel::compute(const float* samples, std::int64_t n_samples,
                             float* frames) noexcept {
  const std::int64_t n_frames =
      n_windows(n_samples, settings_.n_fft, settings_.hop_length);
  kernels_->log_mel(fft_.tables(), mel_.tables(), samples, settings_.hop_length,
                    n_frames, work_.data(), powers_.data(), frames);
  n_frames_ += n_frames;
  return n_frames;
}

}  // namespace streamsed
