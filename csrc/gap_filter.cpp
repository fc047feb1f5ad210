#include "gap_filter.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace streamsed {
namespace {

constexpr std::size_t kMaxLabels = 65536;  // Run::label counts in 32 bits

}  // namespace

GapFilter::GapFilter(std::vector<LabelRule> rules) : rules_(std::move(rules)) {
  if (rules_.empty() || rules_.size() > kMaxLabels) {
    throw std::invalid_argument("rules are for " + std::to_string(rules_.size()) +
                                " labels; they must be for 1 to " +
                                std::to_string(kMaxLabels));
  }
  for (std::size_t k = 0; k < rules_.size(); ++k) {
    const LabelRule& rule = rules_[k];
    const auto fail = [k](const char* name, const std::string& value,
                          const std::string& must) {
      throw std::invalid_argument(std::string(name) + "[" + std::to_string(k) +
                                  "]=" + value + " must " + must);
    };
    // Written so that NaN fails.
    const auto check = [&](const char* name, float threshold) {
      if (!(threshold <= rule.onset_threshold)) {
        fail(name, std::to_string(threshold),
             "be at most the onset threshold " + std::to_string(rule.onset_threshold));
      }
    };
    check("rise_thresholds", rule.rise_threshold);
    check("offset_thresholds", rule.offset_threshold);
    if (rule.min_gap < 0) {
      fail("min_gaps", std::to_string(rule.min_gap), "be at least 0");
    }
    if (rule.min_duration < 0) {
      fail("min_durations", std::to_string(rule.min_duration), "be at least 0");
    }
  }
  states_.resize(rules_.size());
}

void GapFilter::push(const float* scores, std::int64_t n_frames,
                     std::vector<Run>& closed) {
  const std::size_t n_labels = rules_.size();
  const std::int64_t end = n_frames_ + n_frames;
  for (std::int64_t frame = n_frames_; frame < end; ++frame, scores += n_labels) {
    for (std::size_t k = 0; k < n_labels; ++k) {
      const LabelRule& rule = rules_[k];
      State& state = states_[k];
      const float score = scores[k];
      const bool open = state.offset != 0;
      if (!open && !(score >= rule.rise_threshold)) {
        if (state.rising) state = State{};
        continue;
      }
      if (!open && !state.rising) {
        state.rising = true;
        state.onset = frame;
      }
      state.sum_with_gap += static_cast<double>(score);
      if (!open) {
        if (!(score >= rule.onset_threshold)) continue;
        state.detected = frame;
      }
      state.active =
          score >= (state.active ? rule.offset_threshold : rule.onset_threshold);
      if (state.active) {
        state.offset = frame + 1;
        state.sum = state.sum_with_gap;
      } else if (frame + 1 - state.offset >= rule.min_gap) {
        close(k, closed);
      }
    }
  }
  n_frames_ = end;
}

void GapFilter::flush(std::vector<Run>& closed) {
  for (std::size_t k = 0; k < rules_.size(); ++k) {
    if (states_[k].offset != 0) close(k, closed);
  }
  flushed_ = true;
}

void GapFilter::reset() noexcept {
  std::fill(states_.begin(), states_.end(), State{});
  n_frames_ = 0;
  flushed_ = false;
}

std::vector<Run> GapFilter::open_runs() const {
  std::vector<Run> runs;
  for (std::size_t k = 0; k < rules_.size(); ++k) {
    if (states_[k].offset != 0 && is_long_enough(k)) runs.push_back(run(k));
  }
  return runs;
}

bool GapFilter::is_long_enough(std::size_t label) const noexcept {
  const State& state = states_[label];
  return state.offset - state.detected >= rules_[label].min_duration;
}

Run GapFilter::run(std::size_t label) const noexcept {
  const State& state = states_[label];
  const auto length = static_cast<double>(state.offset - state.onset);
  return {static_cast<std::int32_t>(label), state.onset, state.offset,
          static_cast<float>(state.sum / length)};
}

void GapFilter::close(std::size_t label, std::vector<Run>& closed) {
  if (is_long_enough(label)) closed.push_back(run(label));
  states_[label] = State{};
}

}  // namespace streamsed
