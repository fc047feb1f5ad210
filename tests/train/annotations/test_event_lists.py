"""Lists of annotations: what is read, what is refused, and that writing loses nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamsed.events import Event
from streamsed.recordings.formats import FORMATS, lines
from train.annotations.event_lists import (
    digest,
    in_milliseconds,
    read_durations,
    read_names,
    read_strong,
    read_weak,
    write_durations,
    write_names,
    write_strong,
    write_weak,
)
from train.metrics.intervals import merge_overlaps

HEADER = "filename\tonset\toffset\tevent_label\n"


@pytest.fixture
def saved(tmp_path):
    def save(text):
        path = tmp_path / "list.tsv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return save


def test_a_strong_list_keeps_the_order_of_clips_and_events(saved):
    rows = "b.wav\t4\t5\tDog\nb.wav\t1.0\t2.25\tCat\na.wav\nb.wav\t4\t5\tDog\n"
    dog, cat = Event("Dog", 4, 5, 1.0), Event("Cat", 1, 2.25, 1.0)
    clips = read_strong(saved(HEADER + rows))
    assert clips == {"b.wav": [dog, cat, dog], "a.wav": []}
    assert list(clips) == ["b.wav", "a.wav"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("silent", ["a.wav", "a.wav\t\t\t"])
def test_line_ends_and_empty_values_do_not_matter(saved, end, silent):
    text = HEADER + f"{silent}\nb.wav\t0\t1\tDog\n"
    clips = read_strong(saved("\ufeff" + text.replace("\n", end)))
    assert clips == {"a.wav": [], "b.wav": [Event("Dog", 0, 1, 1.0)]}


def test_columns_are_found_by_name_in_csv_too(saved):
    text = ',event_label,onset,offset,filename,score\n0,Dog,0.5,1.0,"a,1.wav",0.75\n'
    assert read_strong(saved(text)) == {"a,1.wav": [Event("Dog", 0.5, 1.0, 0.75)]}


def test_a_comma_in_a_header_of_tabs_separates_nothing(saved):
    text = "filename\tevent_labels\tnotes, if any\na.wav\tCat,Dog\t\n"
    assert read_weak(saved(text)) == {"a.wav": ("Cat", "Dog")}


def test_the_csv_of_streamsed_file_is_a_strong_list(saved):
    events = [Event("Dog", 0.5, 1.0, 0.75), Event("Cat", 2.0, 3.0, 0.5)]
    text = "".join(lines(FORMATS["csv"], [("a.wav", events), ("b.wav", [])]))
    assert read_strong(saved(text)) == {"a.wav": events}
    both = "filename,onset,offset,label,event_label\na.wav,0,1,x,Dog\n"
    assert read_strong(saved(both)) == {"a.wav": [Event("Dog", 0, 1, 1.0)]}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("a.wav\t-1\t2\tDog", "onset must be at least 0.*, not '-1'"),
        ("a.wav\t2\t2.0\tDog", "offset must be later than onset=2.*, not '2.0'"),
        ("a.wav\tsoon\t2\tDog", "onset must be a number.*, not 'soon'"),
        ("a.wav\t1\tnan\tDog", "offset must be a number.*, not 'nan'"),
        ("a.wav\t1\t\tDog", "offset must be a number.*, not ''"),
        ("a.wav\t1\t2\t", "event_label must be a label.*, not ''"),
        ("\t1\t2\tDog", "filename must not be empty.*, not ''"),
        ("a.wav\t1\t2\tDog\t!", "5 values for 4 columns: 'a.wav 1 2 Dog !'"),
        (
            "ok.wav\t\t\t",
            "filename must have events or a row without any.*, not 'ok.wav'",
        ),
        ('"a.wav\t1\t2\tDog', "not valid CSV"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(saved, row, complaint):
    path = saved(HEADER + "ok.wav\t1\t2\tDog\n" + row + "\n")
    with pytest.raises(
        ValueError, match=rf"list\.tsv, line 3: .*{complaint}"
    ) as caught:
        read_strong(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lacking"),
    [("filename\tonset\n", "offset, event_label"), ("", "filename"), ("a b\n", "file")],
)
def test_a_header_that_lacks_a_column_is_refused(saved, text, lacking):
    with pytest.raises(
        ValueError, match=f"line 1: the header .* lacks the columns .*{lacking}"
    ):
        read_strong(saved(text))


@pytest.mark.parametrize("separator", ["  ", ";"])
def test_a_header_that_is_separated_otherwise_is_told_how(saved, separator):
    text = (HEADER + "a.wav\t0\t1\tDog\n").replace("\t", separator)
    with pytest.raises(ValueError, match=r"; separate values by tabs or commas$"):
        read_strong(saved(text))
    with pytest.raises(
        ValueError, match=r"lacks the columns onset, offset, event_label$"
    ):
        read_strong(saved("filename\na.wav\n"))


def test_weak_lists_name_the_labels_of_a_clip(saved):
    path = saved("filename\tevent_labels\nb.wav\tDog, Cat\na.wav\tCat,Cat\nc.wav\n")
    assert read_weak(path) == {"b.wav": ("Dog", "Cat"), "a.wav": ("Cat",), "c.wav": ()}


@pytest.mark.parametrize("read", [read_names, read_weak, read_durations])
def test_a_clip_that_is_listed_twice_is_refused(saved, read):
    path = saved("filename\tduration\tevent_labels\na\t1\tDog\nb\t1\t\na\t1\tCat\n")
    with pytest.raises(
        ValueError, match=r"line 4: filename must be listed only once, not 'a'"
    ):
        read(path)


def test_a_duration_is_positive(saved):
    with pytest.raises(ValueError, match="line 2: duration must be positive"):
        read_durations(saved("filename\tduration\na.wav\t0\n"))


names = st.text("abc,é\"'-_", min_size=1)
labels = st.sampled_from(["Dog", "Cat", "Running_water"])
milliseconds = st.integers(0, 9_999)
events = st.builds(
    lambda label, onset, length: Event(
        label, onset / 1000, (onset + length) / 1000, 1.0
    ),
    labels,
    milliseconds,
    st.integers(1, 10_000),
)


@given(st.dictionaries(names, st.lists(events, max_size=4), max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory, clips):
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    write_strong(path, clips)
    assert read_strong(path) == clips
    assert digest(read_strong(path)) == digest(clips)
    tags = {name: tuple({e.label for e in each}) for name, each in clips.items()}
    write_weak(path, tags)
    assert read_weak(path) == tags
    write_names(path, clips)
    assert read_names(path) == list(clips)
    durations = {name: len(each) + 0.5 for name, each in clips.items()}
    write_durations(path, durations)
    assert read_durations(path) == durations


def test_written_events_end_with_their_clip_to_the_millisecond_and_have_a_length(
    tmp_path,
):
    frame = 3448 / 44100
    end = 14 * frame + 10 / 44100  # 0.2 ms after a score frame begins
    assert round(end, 3) == round(14 * frame, 3) > end
    events = [Event("Dog", 3 * frame, end, 1.0), Event("Cat", 14 * frame, end, 1.0)]
    within = in_milliseconds(Event("Dog", 0, 5 * frame, 1.0), end)
    assert within.offset == 0.391  # 5 frames are 0.39093 s
    rounded = [in_milliseconds(event, end) for event in events]
    assert rounded[0].onset == 0.235  # the nearest: 3 frames are 0.23456 s
    for event in rounded:
        assert event.onset < event.offset <= end
        assert event.offset > end - 0.001
    write_strong(tmp_path / "list.tsv", {"a.wav": rounded})
    assert read_strong(tmp_path / "list.tsv")["a.wav"] == rounded


def test_both_times_are_rounded_to_the_nearest_millisecond():
    rounded = in_milliseconds(Event("Dog", 1.2344, 2.3456, 1.0), 10.0)
    assert (rounded.onset, rounded.offset) == (1.234, 2.346)
    rounded = in_milliseconds(Event("Dog", 1.2346, 2.3454, 1.0), 10.0)
    assert (rounded.onset, rounded.offset) == (1.235, 2.345)


@given(st.lists(events))
@example([Event("Dog", 0, 1, 1.0), Event("Cat", 0, 2, 1.0), Event("Dog", 1, 2, 1.0)])
def test_merged_events_cover_the_same_times_once(clip):
    def covered(events):
        """Each label's milliseconds, with how often it sounds in each."""
        times = {}
        for event in events:
            for t in range(round(1000 * event.onset), round(1000 * event.offset)):
                times[event.label, t] = times.get((event.label, t), 0) + 1
        return times

    merged = merge_overlaps(clip)
    assert merged == sorted(merged)
    assert covered(merged).keys() == covered(clip).keys()
    assert all(n == 1 for n in covered(merged).values())
    ends = {(event.label, event.offset) for event in merged}
    assert not any((event.label, event.onset) in ends for event in merged)


@given(st.lists(events))
def test_events_that_do_not_overlap_stay_as_they_are(clip):
    once = merge_overlaps(clip)
    assert merge_overlaps(once) == once


def test_a_digest_sees_content_and_not_order():
    dog, cat = Event("Dog", 1, 2, 1.0), Event("Cat", 1, 2, 1.0)
    one = digest({"a": [dog, cat], "b": []})
    assert digest({"b": [], "a": [cat, dog]}) == one
    assert digest({"a": [dog, cat]}) != one
    for times in ((1, 2.001), (1.001, 2)):
        assert digest({"a": [dog, Event("Cat", *times, 1.0)], "b": []}) != one
    assert digest({"a": [dog, Event("Cat", 1.0001, 2, 1.0)], "b": []}) == one
    assert digest({"a": [dog, cat, dog], "b": []}) != one
