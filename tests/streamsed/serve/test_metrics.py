"""What Prometheus reads: the right counts under the right names."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families
from small_home import SmallHome

NAMES = {
    "streamsed_audio_level_dbfs", "streamsed_audio_lost_seconds",
    "streamsed_audio_seconds", "streamsed_build_info", "streamsed_emission_delay_seconds",
    "streamsed_event_active", "streamsed_event_score", "streamsed_events",
    "streamsed_events_withdrawn", "streamsed_load_ratio", "streamsed_output_failures",
    "streamsed_queue_seconds", "streamsed_source_armed", "streamsed_source_reconnects",
    "streamsed_source_up", "streamsed_steps_skipped",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with SmallHome(tmp_path_factory.mktemp("metrics")) as home:
        home.lifecycle("kitchen", "Dog")
        home.lifecycle("kitchen", "Dog")
        home.report("kitchen", "Dog", "opened", "withdrawn")
        home.report("hall", "Cat", "opened", number=90)
        home.report("hall", "Dog", "opened", "updated", number=91)
        home.set("hall", state="waiting", lost=12.5, n_reconnects=3, n_skipped=7,
                 since_audio=99.0, armed=False)  # fmt: skip
        yield home


@pytest.fixture
def text(home):
    status, headers, body = home.get("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    return body.decode()


def values(text, name):
    return {
        tuple(value for key, value in sorted(sample.labels.items()) if key != "le"):
            sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }  # fmt: skip


def test_there_are_sixteen_names_with_one_prefix(text):
    found = {family.name for family in text_string_to_metric_families(text)}
    assert found == NAMES


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs Debian's prometheus")
def test_promtool_has_nothing_to_say(text):
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_events_are_counted_when_they_are_settled(text):
    counts = values(text, "streamsed_events_total")
    assert counts == {("Dog", "kitchen"): 2}
    assert values(text, "streamsed_events_withdrawn_total") == {("Dog", "kitchen"): 1}
    assert values(text, "streamsed_event_score_sum") == {("Dog",): 1.75}
    assert values(text, "streamsed_emission_delay_seconds_count") == {
        ("Dog",): 4, ("Cat",): 1,
    }  # fmt: skip


def test_an_ongoing_event_is_a_gauge_that_falls_to_zero_at_the_end(home, text):
    active = values(text, "streamsed_event_active")
    assert active == {("Cat", "hall"): 1, ("Dog", "hall"): 1, ("Dog", "kitchen"): 0}
    home.send({"state": "stopped", "source": "hall", "run": home.run, "at": 9.0,
               "time": home.clock(9.0), "heard": 9.0, "lost": 0.0})  # fmt: skip
    after = values(home.get("/metrics")[2].decode(), "streamsed_event_active")
    assert set(after.values()) == {0}


def test_sources_are_reported_as_they_are_at_this_moment(text):
    assert values(text, "streamsed_source_up") == {("kitchen",): 1, ("hall",): 0}
    assert values(text, "streamsed_source_armed") == {("kitchen",): 1, ("hall",): 0}
    assert values(text, "streamsed_audio_lost_seconds_total")[("hall",)] == 12.5
    assert values(text, "streamsed_source_reconnects_total")[("hall",)] == 3
    assert values(text, "streamsed_steps_skipped_total")[("hall",)] == 7
    assert values(text, "streamsed_audio_level_dbfs")[("kitchen",)] == -42
    assert values(text, "streamsed_audio_seconds_total")[("kitchen",)] > 59
    assert values(text, "streamsed_output_failures_total") == {("webhook",): 3}
    assert values(text, "streamsed_load_ratio") == {(): 0.25}


def test_nothing_in_it_is_an_address_or_a_path(text, home):
    assert "rtsp" not in text
    assert str(home.store_path.parent) not in text
