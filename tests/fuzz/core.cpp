// The core under a fuzzer: settings, cuts and samples of any bits, from bytes.
//
// Besides the sanitizers' finds, it is a defect if a recording in pieces differs by a
// bit from the recording as a whole, if a run breaks its rules, or if a scaled value
// leaves [0, 1]. Buffers are as long as the core says they must be, to the byte, so
// that AddressSanitizer sees the first access beyond.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "gap_filter.h"
#include "log_mel.h"
#include "simd.h"

namespace streamsed {
namespace {

constexpr std::int64_t kMaxWork = 1 << 18;  // values that a recording takes and gives

std::int64_t n_calls = 0;  // of the core

void require(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "defect: it does not hold that %s\n", rule);
  std::abort();
}

// Bytes to decisions; zeros when they are used up.
class Choices {
 public:
  Choices(const std::uint8_t* bytes, std::size_t n) : bytes_(bytes), n_(n) {}

  bool used_up() const { return n_ == 0; }

  template <typename T>
  T raw() {
    T value{};
    const std::size_t n = std::min(n_, sizeof value);
    if (n > 0) std::memcpy(&value, bytes_, n);
    bytes_ += n;
    n_ -= n;
    return value;
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + raw<std::uint16_t>() % (most - least + 1);
  }
  // Mostly a value within its range, sometimes any bits at all.
  std::int64_t whole(std::int64_t least, std::int64_t most) {
    return raw<std::uint8_t>() < 250 ? between(least, most) : raw<std::int64_t>();
  }
  double number(double least, double most) {
    if (raw<std::uint8_t>() >= 250) return raw<double>();
    return least + (most - least) * raw<std::uint16_t>() / 65535.0;
  }
  // Silence, noise of any level, one value of any bits, or all of any bits.
  std::vector<float> floats(std::int64_t n, float level) {
    std::vector<float> values(static_cast<std::size_t>(n));
    const std::uint8_t kind = raw<std::uint8_t>() % 4;
    if (kind == 1) {
      auto state = raw<std::uint32_t>();
      for (float& value : values) {
        state = state * 1664525U + 1013904223U;
        value = level * (static_cast<float>(state >> 8) / 8388608.0F - 1);
      }
    } else if (kind == 2) {
      std::fill(values.begin(), values.end(), raw<float>());
    } else if (kind == 3) {
      for (float& value : values) value = raw<float>();
    }
    return values;
  }
  const Kernels& kernels() {
    const std::vector<std::string> names = simd_targets();
    return kernels_for(names[raw<std::uint8_t>() % names.size()]);
  }

 private:
  const std::uint8_t* bytes_;
  std::size_t n_;
};

std::int64_t length(const std::vector<float>& values) {
  return static_cast<std::int64_t>(values.size());
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0);
}

// Append the frames of a push or, without samples, of a flush.
void append_frames(LogMel& log_mel, const std::vector<float>* samples,
                   std::vector<float>& frames) {
  const std::int64_t before = log_mel.n_frames();
  const std::int64_t n = samples != nullptr ? log_mel.frames_after(length(*samples))
                                            : log_mel.frames_after_flush();
  std::vector<float> out(static_cast<std::size_t>(n * log_mel.n_mels()));
  if (samples != nullptr) {
    log_mel.push(*samples, out.data());
  } else {
    log_mel.flush(out.data());
  }
  ++n_calls;
  require(log_mel.n_frames() - before == n, "the core writes the frames it announces");
  frames.insert(frames.end(), out.begin(), out.end());
}

LogMelSettings log_mel_settings(Choices& choices) {
  LogMelSettings settings{};
  settings.n_fft = choices.whole(0, 15);
  if (settings.n_fft >= 0 && settings.n_fft < 16) {  // mostly small, as that is quick
    settings.n_fft = 64LL << (settings.n_fft % 5);
  }
  const std::int64_t n_fft = std::clamp<std::int64_t>(settings.n_fft, 1, 65535);
  settings.sample_rate = choices.whole(1, 65535);
  settings.win_length = choices.whole(1, n_fft);
  settings.hop_length = choices.whole(1, n_fft);
  settings.n_mels = choices.whole(1, 100);
  const double nyquist = static_cast<double>(settings.sample_rate) / 2;
  settings.fmin = choices.number(0, nyquist);
  settings.fmax = choices.number(settings.fmin, nyquist);
  settings.amin = static_cast<float>(choices.number(1e-30, 1e-3));
  return settings;
}

void try_log_mel(Choices& choices) {
  const LogMelSettings settings = log_mel_settings(choices);
  const Kernels& kernels = choices.kernels();
  ++n_calls;
  LogMel log_mel(settings, kernels), at_once(settings, kernels);
  std::vector<float> recording, frames;
  while (!choices.used_up()) {
    const std::uint8_t choice = choices.raw<std::uint8_t>();
    const std::int64_t n =
        choices.between(0, 3 * std::min<std::int64_t>(settings.n_fft, 2048));
    const std::int64_t n_frames = (length(recording) + n) / settings.hop_length;
    if (n_frames * (settings.n_fft + settings.n_mels) > kMaxWork) break;
    if (choice < 8) {  // forget it
      log_mel.reset();
      recording.clear();
      frames.clear();
      ++n_calls;
    } else {
      const std::vector<float> chunk = choices.floats(n, 1);
      append_frames(log_mel, &chunk, frames);
      recording.insert(recording.end(), chunk.begin(), chunk.end());
    }
  }
  append_frames(log_mel, nullptr, frames);
  append_frames(log_mel, nullptr, frames);  // nothing is owed twice
  require(log_mel.n_samples() == length(recording), "every sample counts once");
  std::vector<float> whole;
  append_frames(at_once, &recording, whole);
  append_frames(at_once, nullptr, whole);
  require(same_bits(frames, whole), "cuts change no bit of the frames");
  require(std::all_of(whole.begin(), whole.end(), [](float v) { return v == v; }),
          "no frame holds a NaN");
}

std::vector<LabelRule> rules(Choices& choices) {
  std::vector<LabelRule> rules(static_cast<std::size_t>(choices.between(0, 5)));
  for (LabelRule& rule : rules) {
    rule.onset_threshold = static_cast<float>(choices.number(0, 1));
    rule.rise_threshold = static_cast<float>(choices.number(0, 1));
    rule.offset_threshold = static_cast<float>(choices.number(0, 1));
    if (choices.raw<std::uint8_t>() < 250) {
      for (float* lower : {&rule.rise_threshold, &rule.offset_threshold}) {
        if (!(*lower <= rule.onset_threshold)) std::swap(*lower, rule.onset_threshold);
      }
    }
    rule.min_gap = choices.whole(0, 6);
    rule.min_duration = choices.whole(0, 6);
  }
  return rules;
}

bool same(const Run& a, const Run& b) {
  return a.label == b.label && a.onset == b.onset && a.offset == b.offset &&
         std::memcmp(&a.score, &b.score, sizeof a.score) == 0;
}

void check_runs(const std::vector<Run>& runs, const std::vector<LabelRule>& rules,
                std::int64_t n_frames) {
  std::vector<std::int64_t> ends(rules.size(), -1);
  for (const Run& run : runs) {
    const auto label = static_cast<std::size_t>(run.label);
    require(label < rules.size(), "a run has one of the labels");
    require(0 <= run.onset && run.onset < run.offset && run.offset <= n_frames,
            "a run lies within the recording");
    require(run.offset - run.onset >= rules[label].min_duration, "short runs are cut");
    require(ends[label] < 0 || (ends[label] < run.onset &&
                                run.onset - ends[label] >= rules[label].min_gap),
            "short gaps are filled");
    // A run that was cut lies between two others without a sound.
    ends[label] = run.offset;
  }
}

void try_gap_filter(Choices& choices) {
  const std::vector<LabelRule> all = rules(choices);
  ++n_calls;
  GapFilter gap_filter(all), at_once(all);
  const std::int64_t n_labels = gap_filter.n_labels();
  std::vector<float> recording;
  std::vector<Run> closed, whole;
  while (!choices.used_up() && length(recording) < kMaxWork) {
    const std::uint8_t choice = choices.raw<std::uint8_t>();
    const std::int64_t n = choices.between(0, 40);
    if (choice < 8) {
      gap_filter.reset();
      recording.clear();
      closed.clear();
    } else if (choice < 32) {
      GapFilter ahead = gap_filter;  // goes its own way
      std::vector<Run> ended = closed;
      const std::size_t n_open = gap_filter.open_runs().size();
      ahead.flush(ended);
      require(ended.size() <= closed.size() + n_open, "only open runs are closed");
      check_runs(ended, all, gap_filter.n_frames());
    } else {
      const std::vector<float> scores = choices.floats(n * n_labels, 1);
      gap_filter.push(scores.data(), n, closed);
      recording.insert(recording.end(), scores.begin(), scores.end());
    }
    ++n_calls;
  }
  gap_filter.flush(closed);
  at_once.push(recording.data(), length(recording) / n_labels, whole);
  at_once.flush(whole);
  n_calls += 3;
  check_runs(closed, all, length(recording) / n_labels);
  require(std::equal(closed.begin(), closed.end(), whole.begin(), whole.end(), same),
          "cuts change no bit of the runs");
}

void try_triple_norm(Choices& choices) {
  const Kernels& kernels = choices.kernels();
  const std::int64_t n_frames = choices.between(1, 40);
  const std::int64_t n_mels = choices.between(1, 70);
  const auto top_db = static_cast<float>(choices.number(0.1, 200));
  if (!(top_db > 0)) return;  // the bindings refuse it
  const std::vector<float> frames = choices.floats(n_frames * n_mels, 100);
  std::vector<float> extremes(static_cast<std::size_t>(2 * n_mels));
  std::vector<float> out(frames.size(), -1);
  const bool done = kernels.triple_norm(frames.data(), n_frames, n_mels, top_db,
                                        extremes.data(), out.data());
  ++n_calls;
  const auto [lowest, highest] = std::minmax_element(frames.begin(), frames.end());
  const bool finite = std::all_of(frames.begin(), frames.end(),
                                  [](float v) { return std::isfinite(v); });
  require(done == (finite && std::isfinite(*highest - *lowest)),
          "what is not finite is refused, and nothing else");
  for (const float value : out) {
    require(done ? value >= 0 && value <= 1.00001F : value == -1,
            "scaled values are in [0, 1], and nothing is written else");
  }
}

void try_all(Choices choices) {
  try {
    switch (choices.raw<std::uint8_t>() % 3) {
      case 0:
        return try_log_mel(choices);
      case 1:
        return try_gap_filter(choices);
      default:
        return try_triple_norm(choices);
    }
  } catch (const std::invalid_argument&) {
    // The settings are refused, as they should be.
  }
}

}  // namespace
}  // namespace streamsed

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::atexit([] {
    std::fprintf(stderr, "%lld core calls\n",
                 static_cast<long long>(streamsed::n_calls));
  });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t n) {
  streamsed::try_all({bytes, n});
  return 0;
}
