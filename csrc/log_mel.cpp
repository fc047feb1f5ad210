#include "log_mel.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <stdexcept>
#include <string>

namespace streamsed {
namespace {

void require(bool condition, const char* name, const std::string& value,
             const std::string& rule) {
  if (!condition) {
    throw std::invalid_argument(std::string(name) + "=" + value + " must " + rule);
  }
}

void check(const LogMelSettings& s) {
  using std::to_string;
  require(s.sample_rate > 0, "sample_rate", to_string(s.sample_rate), "be positive");
  require(s.n_fft >= 64 && s.n_fft <= 65536 && (s.n_fft & (s.n_fft - 1)) == 0, "n_fft",
          to_string(s.n_fft), "be a power of two from 64 to 65536");
  const std::string up_to_n_fft = "be from 1 to n_fft=" + to_string(s.n_fft);
  require(s.win_length >= 1 && s.win_length <= s.n_fft, "win_length",
          to_string(s.win_length), up_to_n_fft);
  require(s.hop_length >= 1 && s.hop_length <= s.n_fft, "hop_length",
          to_string(s.hop_length), up_to_n_fft);
  require(s.n_mels >= 1 && s.n_mels <= 65536, "n_mels", to_string(s.n_mels),
          "be from 1 to 65536");
  require(s.fmin >= 0, "fmin", to_string(s.fmin), "be at least 0");
  require(s.fmax > s.fmin && s.fmax <= static_cast<double>(s.sample_rate) / 2, "fmax",
          to_string(s.fmax),
          "be above fmin=" + to_string(s.fmin) +
              " and at most half of sample_rate=" + to_string(s.sample_rate));
  require(static_cast<float>(s.amin) > 0 && std::isfinite(static_cast<float>(s.amin)),
          "amin", to_string(s.amin), "be positive");
}

// A periodic Hann window of win_length in the middle of n_fft zeros.
std::vector<float> hann(std::int64_t win_length, std::int64_t n_fft) {
  std::vector<float> window(static_cast<std::size_t>(n_fft), 0.0F);
  const std::int64_t start = (n_fft - win_length) / 2;
  for (std::int64_t i = 0; i < win_length; ++i) {
    const double phase = 2 * std::numbers::pi * static_cast<double>(i) /
                         static_cast<double>(win_length);
    window[static_cast<std::size_t>(start + i)] =
        win_length == 1 ? 1.0F : static_cast<float>(0.5 - 0.5 * std::cos(phase));
  }
  return window;
}

}  // namespace

LogMel::LogMel(const LogMelSettings& settings) : settings_(settings) {
  check(settings);
  window_ = hann(settings.win_length, settings.n_fft);
  bands_ = mel_bands(static_cast<double>(settings.sample_rate), settings.n_fft,
                     settings.n_mels, settings.fmin, settings.fmax);
  work_.resize(static_cast<std::size_t>(4 * settings.n_fft));
  tail_.resize(static_cast<std::size_t>(2 * settings.n_fft));
  reset();
}

std::int64_t LogMel::frames_after(std::int64_t n_new_samples) const noexcept {
  const std::int64_t n = n_tail_ + n_new_samples - settings_.n_fft;
  return n < 0 ? 0 : 1 + n / settings_.hop_length;
}

std::int64_t LogMel::frames_after_flush() const noexcept {
  return flushed_ || n_samples_ == 0 ? 0 : frames_after(settings_.n_fft / 2);
}

void LogMel::push(std::span<const float> chunk, float* frames) noexcept {
  n_samples_ += static_cast<std::int64_t>(chunk.size());
  append(chunk, frames);
}

void LogMel::flush(float* frames) noexcept {
  if (frames_after_flush() > 0) {
    const float zeros[64] = {};
    for (std::int64_t n = settings_.n_fft / 2; n > 0; n -= 32) {
      append({zeros, 32}, frames);
    }
  }
  flushed_ = true;
}

void LogMel::reset() noexcept {
  std::fill(tail_.begin(), tail_.end(), 0.0F);
  n_tail_ = settings_.n_fft / 2;
  n_samples_ = n_frames_ = 0;
  flushed_ = false;
}

void LogMel::append(std::span<const float> chunk, float*& frames) noexcept {
  const std::int64_t n_fft = settings_.n_fft;
  while (true) {
    const auto n_taken =
        std::min(static_cast<std::int64_t>(chunk.size()), 2 * n_fft - n_tail_);
    std::copy_n(chunk.begin(), n_taken, tail_.begin() + n_tail_);
    chunk = chunk.subspan(static_cast<std::size_t>(n_taken));
    n_tail_ += n_taken;
    std::int64_t start = 0;
    for (; start + n_fft <= n_tail_; start += settings_.hop_length) {
      frame(tail_.data() + start, frames);
      frames += settings_.n_mels;
      ++n_frames_;
    }
    std::copy(tail_.begin() + start, tail_.begin() + n_tail_, tail_.begin());
    n_tail_ -= start;
    if (chunk.empty()) return;
  }
}

void LogMel::frame(const float* samples, float* decibels) noexcept {
  const auto n = static_cast<std::size_t>(settings_.n_fft);
  auto* x = reinterpret_cast<std::complex<double>*>(work_.data());
  auto* y = x + n;
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = static_cast<double>(samples[i]) * static_cast<double>(window_[i]);
  }
  // Stockham, radix 2.
  for (std::size_t length = n, stride = 1; length > 1; length /= 2, stride *= 2) {
    const std::size_t half = length / 2;
    for (std::size_t p = 0; p < half; ++p) {
      const double phase =
          -2 * std::numbers::pi * static_cast<double>(p) / static_cast<double>(length);
      const std::complex<double> twiddle(std::cos(phase), std::sin(phase));
      for (std::size_t q = 0; q < stride; ++q) {
        const auto a = x[q + stride * p], b = x[q + stride * (p + half)];
        y[q + stride * 2 * p] = a + b;
        y[q + stride * (2 * p + 1)] = (a - b) * twiddle;
      }
    }
    std::swap(x, y);
  }
  for (const MelBand& band : bands_) {
    double power = 0;
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      power += static_cast<double>(band.weights[i]) *
               std::norm(x[static_cast<std::size_t>(band.first_bin) + i]);
    }
    *decibels++ = static_cast<float>(10 * std::log10(std::max(power, settings_.amin)));
  }
}

}  // namespace streamsed
