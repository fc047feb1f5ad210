"""Settings that are read again while the sources go on."""

from types import SimpleNamespace

import pytest
import soundfile
from listening import bursts
from serving import home_of
from sounds import RATE

from streamsed.serve import outputs
from streamsed.serve.job import ServeJob
from streamsed.serve.page.opening import Page
from streamsed.serve.settings import read_serve_settings


@pytest.fixture
def barks(tmp_path):
    path = tmp_path / "barks.flac"
    soundfile.write(path, bursts([("Dog", 0.5, 0.5)], 2), RATE)
    return {"url": f"file://{path}", "loop": True}


def armed(home):
    return {source.name: source.armed for source in home.service.sources()}


def test_a_package_that_a_new_table_needs_and_lacks_changes_nothing(
    tmp_path, model, barks, monkeypatch, capsys
):
    def lacking(*_):
        raise ModuleNotFoundError(name="paho")

    monkeypatch.setitem(outputs._OPENERS, "mqtt", lacking)
    with home_of(tmp_path, model, hall=barks) as home:
        home.text = '[mqtt]\nurl = "mqtt://127.0.0.1"'
        home.settings({"hall": barks})
        home.file.write_text(home.file.read_text().replace('"-"', f'"{barks["url"]}"'))
        ServeJob(home.file)._reload(home.service, None)
        said = capsys.readouterr().err
        assert "[mqtt] needs the package paho: pip install" in said
        assert "; the previous settings are kept" in said
        assert home.service.settings.mqtt is None
        home.file.unlink()
        ServeJob(home.file)._reload(home.service, None)
        said = capsys.readouterr().err
        assert f"{home.file}: no such file or directory; the previous" in said
        home.wait_listened("hall", 0.5)


def test_a_source_that_was_disarmed_stays_so_unless_its_setting_changes(
    tmp_path, model, barks
):
    with home_of(tmp_path, model, hall=barks, door=barks) as home:
        home.service.arm("hall", armed=False)
        changed = barks | {"loop": False}
        home.service.reload(home.settings({"hall": changed, "door": changed}))
        assert armed(home) == {"hall": False, "door": True}
        home.text = f'[clips]\npath = "{tmp_path}/clips"'  # all sources start again
        home.service.reload(home.settings({"hall": changed, "door": changed}))
        assert armed(home) == {"hall": False, "door": True}
        off = changed | {"armed": False}
        home.service.reload(home.settings({"hall": off, "door": off}))
        assert armed(home) == {"hall": False, "door": False}
        home.service.reload(home.settings({"hall": changed, "door": changed}))
        assert armed(home) == {"hall": True, "door": True}


def test_the_page_shows_the_store_that_is_written(tmp_path, model, barks):
    def text(name, page='[page]\naddress = "127.0.0.1:0"\n'):
        return f'{page}[store]\npath = "{tmp_path}/{name}"\n'

    with home_of(tmp_path, model, text=text("a.sqlite"), hall=barks) as home:
        home.text = text("b.sqlite")
        with pytest.raises(ValueError, match=r"path of \[store\] needs a restart"):
            home.service.reload(home.settings({"hall": barks}))
        home.text = text("a.sqlite") + "days = 3\n"
        home.service.reload(home.settings({"hall": barks}))
    with home_of(tmp_path, model, text=text("a.sqlite", page=""), hall=barks) as home:
        home.text = text("b.sqlite", page="")
        home.service.reload(home.settings({"hall": barks}))


def test_the_page_plays_clips_from_the_folder_in_force(tmp_path, model):
    path = tmp_path / "home.toml"
    text = '[[source]]\nname = "a"\nurl = "-"\n[page]\naddress = "127.0.0.1:0"\n'
    path.write_text(text)
    settings = read_serve_settings(path)
    page = Page(
        settings,
        SimpleNamespace(sources=list),
        page=settings.page,
        failures=dict,
        load=float,
        engine="auto",
    )
    try:
        assert page._server.api.clips is None
        path.write_text(f'{text}[clips]\npath = "{tmp_path}/clips"\n')
        page.show_settings(read_serve_settings(path))
        assert page._server.api.clips == tmp_path / "clips"
    finally:
        page.stop()
        for sink in page.sinks:
            sink.close()
