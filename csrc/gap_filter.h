// Score frames to runs: threshold, connect, cut, per label, incrementally.
//
// A label is active from a frame whose score reaches its onset threshold for as long as
// the scores reach its offset threshold. A gap strictly shorter than min_gap frames
// between two active runs is filled (connect); then a run strictly shorter than
// min_duration frames is dropped (cut). With min_gap = min_duration = 3:
//
//   active       #..##.....##...###....####
//   connected    #####.....##...###....####      the gap of 2 is filled
//   cut          #####..........###....####      the run of 2 is dropped
//   closed              ^            ^     ^
//
// A run closes when the third frame after it is inactive too, or with the recording.
// Nothing is filled before the first run or after the last one.
//
// What is left begins earlier: with the first of the frames just before it that reach
// the rise threshold, so that a sure detection has an exact onset. No run reaches back
// to where the one before it was still open.
//
//   scores       1 2 4 5 7 9 9 6 4 2 1
//   active               # # # # #            onset threshold 7, offset threshold 4
//   run              # # # # # # #            rise threshold 4
#pragma once

#include <cstdint>
#include <vector>

namespace streamsed {

struct Run {
  std::int32_t label;
  std::int64_t onset;   // score frame
  std::int64_t offset;  // score frame, exclusive
  float score;          // mean over [onset, offset), filled gaps included
};

struct LabelRule {
  float onset_threshold;
  float rise_threshold;    // at most onset_threshold
  float offset_threshold;  // at most onset_threshold
  std::int64_t min_gap;
  std::int64_t min_duration;
};

class GapFilter {
 public:
  // Throws std::invalid_argument, naming the rule that is out of range.
  explicit GapFilter(std::vector<LabelRule> rules);

  std::int64_t n_labels() const noexcept {
    return static_cast<std::int64_t>(rules_.size());
  }
  std::int64_t n_frames() const noexcept { return n_frames_; }
  bool flushed() const noexcept { return flushed_; }

  // Append to `closed` the runs that end for certain within the next `n_frames` rows of
  // `scores` (n_frames, n_labels), in the order in which they close, then by label.
  void push(const float* scores, std::int64_t n_frames, std::vector<Run>& closed);
  // Append the runs still open: the recording ends here.
  void flush(std::vector<Run>& closed);
  void reset() noexcept;
  // The runs not yet closed, as they would be if nothing more came.
  std::vector<Run> open_runs() const;

 private:
  // A run that may still grow, or none (offset == 0) and perhaps the frames that would
  // begin one. Sums are doubles taken in the order of the frames, so that chunking
  // changes no bit.
  struct State {
    bool rising = false;
    bool active = false;
    std::int64_t onset = 0;
    std::int64_t detected = 0;  // first active frame; a run's length counts from it
    std::int64_t offset = 0;    // one past the last active frame
    double sum = 0;             // of the scores in [onset, offset)
    double sum_with_gap = 0;    // of the scores since onset
  };
  bool is_long_enough(std::size_t label) const noexcept;
  Run run(std::size_t label) const noexcept;
  void close(std::size_t label, std::vector<Run>& closed);

  std::vector<LabelRule> rules_;
  std::vector<State> states_;
  std::int64_t n_frames_ = 0;
  bool flushed_ = false;
};

}  // namespace streamsed
