"""The file of `streamsed serve`: everything in it is read, every mistake is found."""

import tomllib
from datetime import datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import write_tiny_model

from streamsed.inference.model_file import ModelFile, find_model
from streamsed.serve.settings import Hours, SettingsError, read_serve_settings, reading
from streamsed.serve.settings.toml_lines import key_lines

WHOLE = """\
step = 0.5
sensitivity = "high"
ignore = ["speech"]

[threshold]
Dog = 0.6
cat = 0.5

[[source]]
name = "kitchen"
url = "rtsp://me:secret@camera.local:8554/one?a=b"
quiet-hours = ["22:00-06:30", "13:00-14:00"]
ffmpeg_args = ["-rtsp_transport", "udp"]

[[source]]
name = "garden-2"
device = "USB"
channel = 2
sensitivity = "low"
labels = "DOG"
threshold = { Dog = 0.7 }

[[source]]
name = "pipe"
url = "pipe.raw"
rate = 16000

[log]
path = "night.jsonl"
rotate = "10MB,1d"

[store]
path = "home.sqlite"
days = 30
max_bytes = "2GB"

[mqtt]
url = "mqtts://broker.local"
username = "home"
password_file = "PASSWORD"

[[webhook]]
url = "https://example.org/hook"
on = ["closed"]
sources = ["kitchen"]

[exec]
command = "cat -n"

[[rule]]
label = "dog"
between = "23:00-05:00"
times = 3
minutes = 5

[page]
address = "[::1]:9000"
root_path = "/sounds/"

[clips]
path = "clips"
max_bytes = 1000
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "PASSWORD"
    secret.write_text("hush\n")
    secret.chmod(0o600)

    def writer(text):
        path = tmp_path / "home.toml"
        path.write_text(text)
        return path

    return writer


def mistakes(path):
    with pytest.raises(SettingsError) as caught:
        read_serve_settings(path)
    return [(mistake.line, mistake.text) for mistake in caught.value.mistakes]


def test_a_whole_file_is_read(write, tmp_path):
    settings = read_serve_settings(write(WHOLE))
    kitchen, garden, pipe = settings.sources
    assert (settings.stream.step, settings.stream.latency) == (0.5, 1.0)
    assert settings.stream.settled == settings.info.stream.settled
    assert kitchen.url == "rtsp://me:secret@camera.local:8554/one?a=b"
    assert kitchen.quiet_hours[0] == Hours(time(22), time(6, 30))
    assert kitchen.ffmpeg_args == ("-rtsp_transport", "udp")
    assert kitchen.detection.sensitivity == "high"
    assert kitchen.detection.ignore == ("Speech",)
    assert kitchen.detection.post == {"onset_threshold": {"Dog": 0.6, "Cat": 0.5}}
    assert (garden.device, garden.channel, garden.url) == ("USB", 2, "")
    assert garden.detection.only == ("Dog",)
    assert garden.detection.post["onset_threshold"] == {"Dog": 0.7, "Cat": 0.5}
    assert garden.detection.sensitivity == "low"
    assert pipe.url == f"file://{tmp_path}/pipe.raw"
    assert pipe.rate == 16000
    assert settings.log.rotation.max_age == 86400
    assert (settings.store.days, settings.store.max_bytes) == (30, 2 * 10**9)
    assert settings.mqtt.password_file.read_text() == "hush\n"
    assert settings.mqtt.prefix == "streamsed"
    assert settings.webhooks[0].sources == ("kitchen",)
    assert settings.exec.command == ("cat", "-n")
    rule = settings.rules[0]
    assert (rule.name, rule.label, rule.times, rule.minutes) == ("rule-1", "Dog", 3, 5)
    assert (settings.page.host, settings.page.port) == ("::1", 9000)
    assert settings.page.root_path == "/sounds"
    assert settings.clips.max_bytes == 1000


def test_every_mistake_is_found_with_its_line(write):
    wrong = """\
step = "often"
sensitvity = "low"
[threshold]
Dgo = 0.5
[[source]]
name = "a b"
url = "ftp://x/y"
[[source]]
name = "one"
url = "rtsp://cam/"
device = "usb"
quiet_hours = "night"
[[source]]
name = "One"
[mqtt]
prefix = "a/#"
[[rule]]
source = "attic"
[page]
address = "0.0.0.0:8080"
"""
    found = mistakes(write(wrong))
    assert [line for line, _ in found] == [1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 16, 18, 20]
    texts = [text for _, text in found]
    assert texts[0].startswith("step='often' must be a number")
    assert "did you mean 'sensitivity'?" in texts[1]
    assert "unknown label 'Dgo'; did you mean 'Dog'?" in texts[2]
    assert "one of url, url_file and device only" in texts[5]
    assert "name='One' is used twice; names must be unique" in texts[8]
    assert "url is missing" in texts[9]
    assert "token_file" in texts[12]


@pytest.mark.parametrize("setting", ["rise_threshold", "offset_threshold"])
def test_a_lower_threshold_above_the_threshold_is_a_mistake_with_its_line(
    write, setting
):
    text = '[[source]]\nname = "a"\nurl = "a.flac"\nthreshold = 0.4\n'
    ((line, words),) = mistakes(write(f"{text}{setting} = {{Dog = 0.5}}\n"))
    assert line == 5
    assert words == f"{setting} of Dog=0.5 must be at most its threshold=0.4"


def test_a_key_of_countless_parts_is_a_mistake_at_once(write):
    ((line, words),) = mistakes(write("step = 1.0\na" + ".a" * 100_000 + " = 1\n"))
    assert line == 2
    assert "a key has more than 32 parts" in words


def test_a_port_that_there_is_not_is_a_mistake_of_the_page(write):
    text = (
        '[[source]]\nname = "a"\nurl = "a.flac"\n[page]\naddress = "127.0.0.1:70000"\n'
    )
    ((line, words),) = mistakes(write(text))
    assert line == 5
    assert "must be a host and a port up to 65535, such as 127.0.0.1:8080" in words


def test_the_message_names_the_first_mistake_and_how_many_more(write):
    path = write("step = 0\nlatency = -1\n")
    with pytest.raises(SettingsError, match=r"home\.toml: \[\[source\]\] is missing"):
        read_serve_settings(path)
    with pytest.raises(SettingsError, match=r"\(and 2 more; --check lists them\)"):
        read_serve_settings(path)


def test_a_syntax_error_has_its_line(write):
    assert mistakes(write('step = 1\nname = "\n'))[0][0] == 2


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("step = 2\nlatency = 1", "latency"),
        ("settle = 11", "at most one segment"),
        ("model = '/nope.pt'", "nope.pt"),
        ("model-sha256 = 'ab'", "ab"),
        ("[threshold]\nDog = 1.5", "from 0 to 1"),
        ("ignore = [7]", "text in quotes"),
        (r'ignore = ["Dog\u0000"]', r"ignore=\[.*\] must be printable text"),
        ("min_gap = true", "number"),
        ("step = " + "9" * 5000, "not valid TOML: a number has too many digits"),
        ("threads = 0", "whole number from 1"),
        ("source = 3", r"\[\[source\]\]"),
        ("step = 1\nstep_ = 2", "'step_' is not a setting"),
        ("trust-model = true\ntrust_model = true", "twice"),
        ("[log]\npath = '~nobody-here/a'", "home folder of an unknown user"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(write, line, hint):
    source = "" if line.startswith("source") else "\n[[source]]\nname='a'\nurl='-'\n"
    with pytest.raises(SettingsError, match=hint):
        read_serve_settings(write(line + source))


@pytest.mark.parametrize(
    ("first", "second"), [("log", "store"), ("store", "clips"), ("", "log")]
)
def test_two_outputs_of_one_path_are_a_mistake(write, tmp_path, first, second):
    place = tmp_path / "same" if first else write("")
    text = "[[source]]\nname='a'\nurl='-'\n"
    for kind in filter(None, (first, second)):
        text += f"[{kind}]\npath='{place}'\n"
    ((line, words),) = mistakes(write(text))
    assert line == len(text.splitlines())
    assert f"path={place} is that of {f'[{first}]' if first else 'this file'};" in words


def test_a_host_with_a_space_is_a_mistake(write):
    source = "[[source]]\nname='a'\nurl='-'\n"
    ((line, words),) = mistakes(write(source + "[[webhook]]\nurl='http://a b/c d'\n"))
    assert line == 5
    assert "url must be an address with a host" in words


def test_a_byte_order_mark_is_no_mistake_and_other_encodings_are_named(tmp_path):
    path = tmp_path / "home.toml"
    text = "step='x'\n[[source]]\nname='a'\nurl='-'\n"
    path.write_text(text, encoding="utf-8-sig")  # as some editors write it
    ((line, words),) = mistakes(path)
    assert (line, words[:8]) == (1, "step='x'")
    path.write_text(text, encoding="utf-16")
    ((_, words),) = mistakes(path)
    assert words.endswith("byte 1 is not UTF-8; save it with this encoding")


def test_the_tables_of_other_commands_are_left_to_them(write):
    text = "[[source]]\nname='a'\nurl='-'\n[listen]\nlog='x'\n[file]\nformat='csv'\n"
    assert read_serve_settings(write(text)).sources[0].url == "stdin:"


def test_a_mistake_that_only_the_model_shows_is_that_of_the_key_in_its_source(write):
    text = """\
[[source]]
name = "a"
url = "-"
[[source]]
name = "b"
device = "x"
labels = ["Dog"]
ignore = ["Dog"]
"""
    assert mistakes(write(text))[0][0] == 8


def test_a_password_is_in_no_message(write):
    text = '[[source]]\nname = "a"\nurl = "rtsp://me:hunter2@/x"\n'
    with pytest.raises(SettingsError) as caught:
        read_serve_settings(write(text))
    assert caught.value.mistakes[0].line == 3
    assert "hunter2" not in str(caught.value)


def test_a_secret_that_others_can_read_is_refused(write, tmp_path):
    (tmp_path / "PASSWORD").chmod(0o640)
    assert any("chmod 600" in text for _, text in mistakes(write(WHOLE)))


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("a b.wav", "a b.wav"),
        ("file:a%20b.wav", "a b.wav"),
        ("file:///tmp/a%20b.wav", "/tmp/a b.wav"),
        ("/tmp/100%.wav", "/tmp/100%.wav"),
        ("C:x.wav", "C:x.wav"),
    ],
)
def test_a_path_is_taken_as_it_is_and_an_address_of_a_file_is_decoded(
    write, tmp_path, url, path
):
    [source] = read_serve_settings(
        write(f"[[source]]\nname = 'a'\nurl = '{url}'\n")
    ).sources
    assert source.url == f"file://{tmp_path / path}"


def test_the_address_of_a_source_may_lie_in_a_file_of_its_own(write, tmp_path):
    (tmp_path / "PASSWORD").write_text("http://user:pw@host/stream\n")
    text = '[[source]]\nname = "a"\nurl_file = "PASSWORD"\n'
    [source] = read_serve_settings(write(text)).sources
    assert source.url == "http://user:pw@host/stream"
    (tmp_path / "PASSWORD").write_text("gopher://user:pw@host/stream\n")
    [(line, said)] = mistakes(write(text))
    assert line == 3
    assert "pw" not in said


@pytest.mark.parametrize("text", ["", "7-8", "25:00-26:00", "06:00-06:00", "06:00"])
def test_hours_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="must"):
        Hours.parse(text)


@given(st.times(), st.times(), st.times())
def test_a_span_and_the_span_from_its_end_to_its_start_make_up_the_day(a, b, now):
    first, second = Hours(a, b), Hours(b, a)
    moment = datetime.combine(datetime(2026, 11, 26), now)
    if a != b:
        assert first.contains(moment) != second.contains(moment)
    else:
        assert first.contains(moment)


KEYS = st.text("ab-_1", min_size=1, max_size=3)
VALUES = st.sampled_from(
    [
        "1",
        '"x # ] \\" ="',
        "'[y]'",
        '"""\nz = 1\n\\"""\n"""',
        "'''\n[t]\n'''",
        "[\n1, # ]\n[2],\n]",
        "{ k = [1], j = 'x' }",
        "2026-11-26 10:00:00",
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["[{}]", "[[{}]]"]),
            st.lists(st.tuples(KEYS, VALUES), max_size=3, unique_by=lambda kv: kv[0]),
        ),
        max_size=4,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_every_key_is_found_on_the_line_where_it_stands(tables, newline):
    lines, expected, counts = [], {}, {}
    for number, (form, entries) in enumerate(tables):
        key = "many" if form == "[[{}]]" else f"t{number}"
        at = (key,)
        if key == "many":
            at = (key, counts.setdefault(key, 0))
            counts[key] += 1
        lines += ["# [a comment]", f"  {form.format(key)} # ="]
        expected[at] = len(lines)
        for name, value in entries:
            expected[(*at, name)] = len(lines) + 1
            lines += f"  {name} = {value}  # x".split("\n")
    text = newline.join(lines)
    tomllib.loads(text)
    assert key_lines(text) == expected


ODD = [
    "0", "-1", "1.5", "nan", "inf", "10" * 300, "true", '""', '"a"', '"x\\u0007"', "[]",
    "[[]]", '[1, "a"]', "{}", "{ a = { b = [1] } }", "2026-11-26", "07:00:00",
    '"http://["', '"rtsp://h:99999/"', '"-9:00-1:00"', "'/'", f'"{"y" * 5000}"',
]  # fmt: skip
KEYS_OF = {
    "": "model step latency settle threads engine sensitivity threshold confirm labels "
    "label ignore min_gap source log store mqtt webhook exec rule page clips",
    "[source]": "name url url_file device channel rate channels encoding loop armed "
    "quiet_hours ffmpeg_args labels threshold smoothing",
    "log": "path rotate",
    "store": "path days max_bytes",
    "mqtt": "url username password_file ca_file prefix discovery discovery_prefix",
    "[webhook]": "url secret_file on sources labels timeout",
    "exec": "command on cooldown timeout",
    "[rule]": "name source label between times minutes cooldown",
    "page": "address token_file root_path hosts",
    "clips": "path max_bytes days save_speech",
}


@pytest.mark.parametrize("table", KEYS_OF)
def test_whatever_a_key_is_set_to_the_file_is_read_or_its_mistake_is_named(
    write, table, monkeypatch
):
    info = ModelFile.open(find_model("default")).info
    monkeypatch.setattr(reading, "_model_info", lambda *_: info)  # the same each time
    for key in KEYS_OF[table].split():
        for value in ODD:
            head = f"[{table}]\n" if table else ""
            source = "" if table == "[source]" else "[[source]]\nname='a'\nurl='-'\n"
            said = said_of(write(f"{head}{key} = {value}\n{source}"))
            assert len(said) < 5000, (key, value)
            assert said.isprintable(), (key, value)


def said_of(path):
    """What is said of the mistakes in a file, if it has any."""
    try:
        read_serve_settings(path)
    except SettingsError as error:
        return "".join(map(str, error.mistakes))
    return ""


def test_clips_need_a_label_that_recognizes_speech_or_all_are_saved(write, tmp_path):
    model = write_tiny_model(tmp_path / "animals.pt", ("Cat", "Dog"))
    text = f'model = "{model}"\n[[source]]\nname = "a"\nurl = "-"\n[clips]\npath = "clips"\n'
    [(line, why)] = mistakes(write(text))
    assert line == 5
    assert why.endswith("set save_speech = true to save all clips")
    settings = read_serve_settings(write(text + "save_speech = true\n"))
    assert settings.clips.save_speech
