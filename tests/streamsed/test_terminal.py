"""What a person sees on the terminal."""

from streamsed.terminal import say


def test_say_keeps_to_one_line_of_stderr(capsys):
    say("one\ntwo   three")
    captured = capsys.readouterr()
    assert captured.err == "streamsed: one two three\n"
    assert captured.out == ""
