"""What a person sees on the terminal."""

from streamsed.terminal import print_message


def test_say_keeps_to_one_line_of_stderr(capsys):
    print_message("one\ntwo   three")
    captured = capsys.readouterr()
    assert captured.err == "streamsed: one two three\n"
    assert captured.out == ""
