"""Rules for options without effect, held to the commands that they are for."""

import re


def assert_rules_exist(commands, options):
    """Fail if a rule is for a command or an option that does not exist.

    Parameters
    ----------
    commands : mapping
        The program's commands by name.
    options : type
        `DependentOptions` or a class derived from it.
    """
    n_rules = 0
    for rules in (options.needed, options.excluded):
        for name, of_command in rules.items():
            group, _, inner = name.partition(" ")
            command = commands[group].commands[inner] if inner else commands[group]
            assert isinstance(command, options), name
            for option, others in of_command.items():
                for each in (*re.split(", | or ", option), *others):
                    assert command._parameter(each), (name, each)
                    n_rules += 1
    assert n_rules > 10
