"""The settings of `streamsed serve`: the contents of a `home.toml`.

`read_serve_settings` reads and checks a whole file; the rest of the program sees only the
frozen dataclasses of `tables` and `message_tables`, one for each kind of table in the file.
"""

from streamsed.serve.settings.hours import Hours
from streamsed.serve.settings.message_tables import (
    ExecSettings,
    MqttSettings,
    RuleSettings,
    WebhookSettings,
)
from streamsed.serve.settings.reading import read_serve_settings
from streamsed.serve.settings.tables import (
    ClipsSettings,
    LogSettings,
    PageSettings,
    ServeSettings,
    SourceSettings,
    StoreSettings,
)
from streamsed.serve.settings.toml_table import Mistake, SettingsError

__all__ = [
    "ClipsSettings",
    "ExecSettings",
    "Hours",
    "LogSettings",
    "Mistake",
    "MqttSettings",
    "PageSettings",
    "RuleSettings",
    "ServeSettings",
    "SettingsError",
    "SourceSettings",
    "StoreSettings",
    "WebhookSettings",
    "read_serve_settings",
]
