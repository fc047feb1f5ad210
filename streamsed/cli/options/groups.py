"""Options that several commands have, declared once as the parameters of a function.

A command asks for what such a function returns::

    @with_options(detection=detection_settings)
    def file(paths: ..., *, detection: DetectionSettings, scores: ...) -> int: ...

and gets the options in that place: in its help, its completion and its settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

Command = Callable[..., Any]


def with_options(**groups: Callable[..., Any]) -> Callable[[Command], Command]:
    """Replace parameters of a command by options.

    Parameters
    ----------
    **groups : callable
        By the name of the command's parameter: a function whose parameters, annotated with
        objects rather than texts, are the options, and whose result the command receives.
    """
    options = {
        name: inspect.signature(each).parameters for name, each in groups.items()
    }

    def replaced(command: Command) -> Command:
        @wraps(command)
        def given(*arguments: Any, **values: Any) -> Any:
            results = {
                name: group(**{k: values.pop(k) for k in options[name] if k in values})
                for name, group in groups.items()
            }
            return command(*arguments, **values, **results)

        own = command.__annotations__.items()
        given.__annotations__ = {name: each for name, each in own if name not in groups}
        hints = get_type_hints(given, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            if name in groups:
                parameters += options[name].values()
            else:
                parameters.append(parameter.replace(annotation=hints[name]))
        # typer asks for all annotations, and for the signature.
        given.__annotations__ = {each.name: each.annotation for each in parameters}
        given.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return given

    return replaced
