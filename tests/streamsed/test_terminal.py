"""What a person sees on the terminal."""

import io
import sys

from streamsed.terminal import print_lines, print_message


def test_say_keeps_to_one_line_of_stderr(capsys):
    print_message("one\ntwo   three")
    captured = capsys.readouterr()
    assert captured.err == "streamsed: one two three\n"
    assert captured.out == ""


def test_lines_are_spelt_out_on_a_terminal_and_left_alone_elsewhere(monkeypatch):
    lines = ["a\x1b[2J\tDog\n", "b\n"]
    written = []
    for on_terminal in (True, False):
        out = io.StringIO()
        out.isatty = lambda on_terminal=on_terminal: on_terminal
        monkeypatch.setattr(sys, "stdout", out)
        print_lines(lines)
        written.append(out.getvalue())
    assert written == ["a\\x1b[2J\tDog\nb\n", "a\x1b[2J\tDog\nb\n"]
