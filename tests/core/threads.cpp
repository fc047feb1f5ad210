// Four threads in the core at once, for the sanitizers: `core_threads [SECONDS]`.
//
// All use one LogMel and one GapFilter at random, and are refused while another is
// inside; between, each has a LogMel of its own, whose frames must not change by a bit.
// A race, or memory touched out of turn, ends the program by the sanitizer's hand; a
// wrong result with exit code 1.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "exclusive.h"
#include "gap_filter.h"
#include "log_mel.h"
#include "simd.h"

namespace streamsed {
namespace {

constexpr int kThreads = 4;
constexpr std::int64_t kLabels = 3;
constexpr float kTopDb = 80;

using SharedLogMel = Exclusive<LogMel>;
using SharedGapFilter = Exclusive<GapFilter>;

struct Counts {
  std::atomic<std::int64_t> calls = 0, refused = 0, wrong = 0;
};

LogMel make_log_mel(const std::string& simd) {
  return LogMel({16000, 256, 256, 100, 24, 0, 8000, 1e-10F}, kernels_for(simd));
}

GapFilter make_gap_filter() {
  return GapFilter(std::vector<LabelRule>(kLabels, {0.5F, 0.4F, 0.3F, 3, 3}));
}

std::vector<float> push(LogMel& log_mel, std::span<const float> chunk) {
  const std::int64_t n_frames =
      log_mel.frames_after(static_cast<std::int64_t>(chunk.size()));
  std::vector<float> frames(static_cast<std::size_t>(n_frames * log_mel.n_mels()));
  log_mel.push(chunk, frames.data());
  return frames;
}

std::vector<float> flush(LogMel& log_mel) {
  std::vector<float> frames(
      static_cast<std::size_t>(log_mel.frames_after_flush() * log_mel.n_mels()));
  log_mel.flush(frames.data());
  return frames;
}

void use(SharedLogMel& shared, std::span<const float> chunk, unsigned choice) {
  const SharedLogMel::Use log_mel(shared);
  if (choice == 0) {
    log_mel->reset();
  } else if (choice == 1) {
    flush(*log_mel);
    log_mel->reset();
  } else {
    push(*log_mel, chunk);
  }
}

void use(SharedGapFilter& shared, std::span<const float> scores, unsigned choice) {
  const SharedGapFilter::Use gap_filter(shared);
  std::vector<Run> closed;
  if (choice == 0) {
    gap_filter->reset();
  } else if (choice == 1) {
    gap_filter->flush(closed);
    gap_filter->reset();
  } else if (choice == 2) {
    gap_filter->open_runs();
  } else if (choice == 3) {
    GapFilter copy = *gap_filter;
    copy.flush(closed);
  } else {
    gap_filter->push(scores.data(), static_cast<std::int64_t>(scores.size()) / kLabels,
                     closed);
  }
}

// A recording of one's own, normalised: the same numbers every time and everywhere.
std::vector<float> alone(const std::vector<float>& samples, const std::string& simd) {
  LogMel log_mel = make_log_mel(simd);
  std::vector<float> frames = push(log_mel, samples);
  const std::int64_t n_mels = log_mel.n_mels();
  std::vector<float> extremes(static_cast<std::size_t>(2 * n_mels));
  std::vector<float> out(frames.size());
  kernels_for(simd).triple_norm(frames.data(),
                                static_cast<std::int64_t>(frames.size()) / n_mels,
                                n_mels, kTopDb, extremes.data(), out.data());
  return out;
}

void work(unsigned seed, std::chrono::steady_clock::time_point end,
          const std::vector<float>& samples, const std::vector<float>& expected,
          SharedLogMel& log_mel, SharedGapFilter& gap_filter, Counts& counts) {
  std::mt19937 random(seed);
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 200; ++i) {
      const std::span<const float> piece(samples.data(), random() % samples.size());
      const unsigned choice = random() % 12;
      try {
        if (random() % 2 == 0) {
          use(log_mel, piece, choice);
        } else {
          use(gap_filter, piece, choice);
        }
      } catch (const InUse&) {
        ++counts.refused;
        std::this_thread::yield();
      }
      ++counts.calls;
    }
    counts.wrong += log_mel.constant().n_mels() != 24;
    counts.wrong += alone(samples, "auto") != expected;
    counts.calls += 2;
  }
}

int run(double seconds) {
  std::vector<float> samples(5000);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] = 0.7F * std::sin(0.001F * static_cast<float>(i * i % 7919));
  }
  SharedLogMel log_mel("LogMel", make_log_mel("auto"));
  SharedGapFilter gap_filter("GapFilter", make_gap_filter());
  const std::vector<float> expected = alone(samples, "auto");
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::milliseconds(static_cast<std::int64_t>(1e3 * seconds));
  Counts counts;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back(
        [&, i] { work(i, end, samples, expected, log_mel, gap_filter, counts); });
  }
  for (std::thread& thread : threads) thread.join();
  std::printf("%lld core calls by %d threads in %g s, %lld refused, %lld wrong\n",
              static_cast<long long>(counts.calls), kThreads, seconds,
              static_cast<long long>(counts.refused),
              static_cast<long long>(counts.wrong));
  return counts.wrong == 0 && counts.refused > 0 ? 0 : 1;
}

}  // namespace
}  // namespace streamsed

int main(int argc, char** argv) {
  return streamsed::run(argc > 1 ? std::atof(argv[1]) : 10);
}
