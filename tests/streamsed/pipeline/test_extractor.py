"""What the first half of the path gives: frames, normalised segments and progress."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sounds import cut, scene

from streamsed.config import FrontendConfig
from streamsed.pipeline.extractor import Progress, SegmentExtractor, SegmentFeatures
from streamsed.pipeline.frontend import Frontend, normalize
from streamsed.pipeline.segmenter import Segmenter

CONFIG = FrontendConfig()


def frames_of(extracted):
    return [each for each in extracted if isinstance(each, np.ndarray)]


@pytest.mark.parametrize("top_db", [80.0, 30.0])
def test_segments_are_those_of_the_segmenter_normalised(top_db):
    config = FrontendConfig(top_db=top_db)
    samples = scene(14)
    chunks = cut(samples, [1, 0, 70_000, 12_345])
    extracted = list(SegmentExtractor(config, step=13, partial=True).run(chunks))
    frontend, segmenter = Frontend(config), Segmenter(config, step=13, partial=True)
    frames = np.concatenate([frontend.push(samples), frontend.flush()])
    expected = [*segmenter.push(frames), *segmenter.flush()]
    found = [each for each in extracted if isinstance(each, SegmentFeatures)]
    assert [s[1:] for s in found] == [(s.start, s.end, s.early) for s in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert_array_equal(mine.features, normalize(theirs.frames, top_db=top_db))
    assert_array_equal(np.concatenate(frames_of(extracted)), frames)


def test_progress_follows_what_it_reports_and_ends_with_the_recording():
    samples = scene(11)
    extractor = SegmentExtractor(CONFIG, step=64, partial=False)
    extracted = list(extractor.run(cut(samples, [50_000] * 8)))
    n_frames, end = 0, 0
    for each in extracted:
        if isinstance(each, Progress):
            assert each.n_score_frames == n_frames // CONFIG.subsampling or each.ended
            assert end <= -(-n_frames // CONFIG.subsampling)
        elif isinstance(each, SegmentFeatures):
            end = each.end
        else:
            n_frames += len(each)
    assert extracted[-1].ended
    assert extracted[-1].n_samples == len(samples)
    assert sum(isinstance(each, Progress) and each.ended for each in extracted) == 1


def score_frames_of(extracted):
    return [each.n_score_frames for each in extracted if isinstance(each, Progress)][-1]


@given(st.lists(st.integers(0, 9000), max_size=6))
def test_the_next_score_frame_is_complete_with_the_sample_that_is_due(sizes):
    extractor = SegmentExtractor(CONFIG, step=64, partial=False)
    samples = scene(2)
    before, n_taken = 0, 0
    for chunk in cut(samples[:50_000], sizes):
        before, n_taken = score_frames_of(extractor.push(chunk)), n_taken + len(chunk)
    due = extractor.n_due
    assert 1 <= due <= CONFIG.score_frame_length + CONFIG.win_length
    rest = samples[n_taken:]
    assert score_frames_of(extractor.push(rest[: due - 1])) == before
    assert extractor.n_due == 1
    assert score_frames_of(extractor.push(rest[due - 1 : due])) == before + 1
