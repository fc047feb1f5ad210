"""Who is let in: names, tokens, cookies, and how often somebody may guess."""

import http.cookies

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_home import SmallHome

from streamsed.serve.page.access import (
    FIRST_WAIT,
    FREE_ATTEMPTS,
    LONGEST_WAIT,
    MAX_ADDRESSES,
    SESSION,
    Access,
    Attempts,
    read_token,
)
from streamsed.serve.settings import SettingsError, read_serve_settings

TOKEN = "a token of twenty-five ch"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    with SmallHome(folder, token_file=file, hosts=("sounds.example",)) as home:
        yield home


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with SmallHome(tmp_path_factory.mktemp("open")) as home:
        yield home


def log_in(home, token=TOKEN):
    return home.ask(
        "POST", "/login", body=f"token={token.replace(' ', '+')}",
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/", "/events", "/api/sources", "/api/events", "/api/settings", "/api/hours",
     "/api/events/1", "/api/events/1/clip", "/metrics"],
)  # fmt: skip
def test_without_the_token_nothing_is_disclosed(guarded, path):
    status, headers, body = guarded.get(path)
    assert status == 401
    assert b"kitchen" not in body
    assert headers["www-authenticate"].startswith("Bearer")


def test_a_browser_without_the_token_is_led_to_the_login(guarded):
    status, headers, _ = guarded.get("/", accept="text/html,*/*")
    assert (status, headers["location"]) == (303, "login")
    assert guarded.get("/login")[0] == 200
    assert guarded.get("/static/style.css")[0] == 200


def test_health_is_reported_to_all_but_the_sources_are_not(guarded):
    status, _, body = guarded.get("/healthz")
    assert (status, body) == (200, b'{"status":"ok"}')


def test_the_token_in_a_header_opens_everything(guarded):
    bearer = f"Bearer {TOKEN}"
    assert guarded.get("/api/sources", authorization=bearer)[0] == 200
    assert guarded.get("/metrics", authorization=bearer)[0] == 200


def test_the_right_token_gives_a_cookie_that_opens_everything(guarded):
    status, headers, _ = log_in(guarded)
    assert (status, headers["location"]) == (303, "./")
    cookie = http.cookies.SimpleCookie(headers["set-cookie"])["streamsed"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert not cookie["path"]  # below a proxy's path, the browser takes that
    assert TOKEN not in headers["set-cookie"]
    status, _, _ = guarded.get("/api/sources", cookie=f"streamsed={cookie.value}")
    assert status == 200


@pytest.mark.parametrize("cookie", ["streamsed=1.ab", "streamsed=", "streamsed", "x=;"])
def test_a_cookie_that_was_not_given_out_opens_nothing(guarded, cookie):
    assert guarded.get("/api/sources", cookie=cookie)[0] == 401


def test_wrong_tokens_are_counted_and_then_nobody_from_there_is_looked_at(
    tmp_path,
):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    with SmallHome(tmp_path, token_file=file) as home:
        refusals = [log_in(home, f"wrong {i}")[0] for i in range(FREE_ATTEMPTS)]
        assert refusals == [403] * (FREE_ATTEMPTS - 1) + [429]
        status, headers, _ = log_in(home)  # the right one
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= FIRST_WAIT
        assert home.get("/metrics", authorization=f"Bearer {TOKEN}")[0] == 429


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "a:b:c"]
)
def test_a_host_that_is_not_of_this_machine_is_refused(home, host):
    assert home.get("/api/sources", host=host)[0] == 421


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1", "192.168.7.9:80", "[::1]:9"]
)
def test_addresses_and_localhost_are_accepted(home, host):
    assert home.get("/api/sources", host=host)[0] == 200


def test_a_name_of_the_settings_is_accepted(guarded):
    assert guarded.get("/healthz", host="SOUNDS.example:443")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"sec_fetch_site": "cross-site"},
     {"sec_fetch_site": "same-site"}, {"origin": "null"}],
)  # fmt: skip
def test_a_change_that_another_site_asks_for_is_refused(home, headers):
    path, body = "/api/sources/kitchen/arm", '{"armed": false}'
    assert home.ask("POST", path, body=body, **headers)[0] == 403
    assert home.statuses["kitchen"].armed


@pytest.mark.parametrize("path", ["/api/sources/kitchen/arm", "/logout"])
def test_nothing_is_changed_by_get(home, path):
    assert home.get(path)[0] == 405
    assert home.statuses["kitchen"].armed


@pytest.mark.parametrize("path", ["/", "/api/sources", "/nowhere", "/static/app.js"])
def test_every_answer_forbids_foreign_scripts_and_code_within_the_page(home, path):
    headers = home.get(path)[1]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd",
     "/static/..%2f..%2fmetrics.py"],
)  # fmt: skip
def test_no_file_outside_the_page_is_given_out(home, path):
    assert home.get(path)[0] == 404


def test_a_token_that_others_may_read_is_refused_with_the_remedy(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o640)
    with pytest.raises(ValueError, match=r"readable by others .*chmod 600"):
        read_token(file)


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 30, b"two\nlines of a token"]
)
def test_a_file_without_a_token_is_refused_with_the_remedy(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ValueError, match="openssl rand"):
        read_token(file)


def test_a_cookie_is_valid_until_its_time_and_no_longer():
    now = [1000.0]
    access = Access(TOKEN, now=lambda: now[0])
    cookie = access.cookie()
    assert access.accepts_cookie(cookie)
    now[0] += SESSION - 1
    assert access.accepts_cookie(cookie)
    now[0] += 2
    assert not access.accepts_cookie(cookie)


def test_another_token_ends_every_session():
    cookie = Access(TOKEN).cookie()
    assert not Access(TOKEN + "x").accepts_cookie(cookie)


@given(st.text(max_size=80))
def test_no_other_text_is_taken_for_a_cookie_or_the_token(text):
    access = Access(TOKEN)
    assert not access.accepts_cookie(text)
    assert access.accepts(text) == (text == TOKEN)


def test_waits_double_and_end_and_one_address_does_not_hinder_another():
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    waits = []
    for _ in range(30):
        attempts.fail("a")
        waits.append(attempts.wait("a"))
    assert waits[: FREE_ATTEMPTS - 1] == [0.0] * (FREE_ATTEMPTS - 1)
    assert waits[FREE_ATTEMPTS - 1 :][:3] == [
        FIRST_WAIT,
        2 * FIRST_WAIT,
        4 * FIRST_WAIT,
    ]
    assert waits[-1] == LONGEST_WAIT
    assert attempts.wait("b") == 0.0
    now[0] += LONGEST_WAIT
    assert attempts.wait("a") == 0.0
    attempts.succeed("a")
    attempts.fail("a")
    assert attempts.wait("a") == 0.0


def test_attempts_of_countless_addresses_take_no_more_memory():
    attempts = Attempts()
    for number in range(2 * MAX_ADDRESSES):
        attempts.fail(str(number))
    assert len(attempts._failed) == MAX_ADDRESSES


def test_a_token_that_is_too_short_is_a_mistake_in_the_settings(tmp_path):
    file = tmp_path / "token"
    file.write_text("hunter2")
    file.chmod(0o600)
    path = tmp_path / "home.toml"
    path.write_text(
        '[[source]]\nname = "a"\nurl = "-"\n[page]\naddress = "0.0.0.0:8080"\n'
        f'token_file = "{file}"\n'
    )
    with pytest.raises(SettingsError) as caught:
        read_serve_settings(path)
    (mistake,) = caught.value.mistakes
    assert str(mistake).startswith(f"{path}:6: ")
    assert "openssl rand" in str(mistake)
    file.write_text("x" * 16)
    assert read_serve_settings(path).page.token_file == file
