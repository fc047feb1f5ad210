"""The channels of all sources: visited in turn, and restarted after errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamsed.live.snapshot import Snapshot
from streamsed.serve.channels.channel import Channel
from streamsed.serve.fan_out import FanOut
from streamsed.serve.scheduler import Scheduler, Visited
from streamsed.serve.status import SourceStatus


class ChannelGroup:
    """Score many sources, one visit after another, by their names.

    Parameters
    ----------
    outputs : FanOut
        Receives the notice of a source that cannot be restarted.
    n_workers : int
        Number of sources that are scored in parallel.
    """

    def __init__(self, outputs: FanOut, *, n_workers: int) -> None:
        self._outputs = outputs
        self._channels: dict[str, Channel] = {}
        self.scheduler = Scheduler(n_workers, on_error=self._on_error)

    def start(self) -> None:
        """Visit the sources that are added from now on."""
        self.scheduler.start()

    def stop(self) -> None:
        """End all sources: close their open events and the sinks of their runs."""
        for channel in self._channels.values():
            channel.stop()
        self.scheduler.stop()
        for channel in self._channels.values():
            channel.end()

    def __contains__(self, name: object) -> bool:
        return name in self._channels

    def add(self, channel: Channel) -> None:
        """Visit another source."""
        self._channels[channel.name] = channel
        self.scheduler.add(channel)

    def remove(self, name: str) -> None:
        """End a source."""
        channel = self._channels.pop(name)
        channel.stop()
        self.scheduler.remove(channel)
        channel.end()

    def sort(self, names: Sequence[str]) -> None:
        """Put the sources in an order: that of all their names."""
        self._channels = {name: self._channels[name] for name in names}

    def statuses(self) -> list[SourceStatus]:
        """Return the states of all sources, in their order."""
        return [channel.status() for channel in list(self._channels.values())]

    def resend_statuses(self) -> None:
        """Report the states of all sources at once, for outputs that were just opened."""
        for channel in self._channels.values():
            channel.resend_status()

    def armed(self) -> Mapping[str, bool]:
        """Return whether messages are sent for the events of each source."""
        return {name: channel.armed for name, channel in self._channels.items()}

    def arm(self, name: str, *, armed: bool) -> None:
        """Set whether messages are sent for the events of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        self._channels[name].arm(armed=armed)

    def snapshot(self, name: str) -> Snapshot:
        """Return the data that the page draws of a source.

        Raises
        ------
        KeyError
            There is no source of this name.
        """
        return self._channels[name].snapshot()

    def _on_error(self, source: Visited, error: Exception) -> None:
        """Restart a source after an unexpected error, such as one of the engine."""
        reason = f"{type(error).__name__}: {str(error)[:200]}; the source is restarted"
        channel = self._channels.get(source.name)
        try:
            if channel is not None:
                channel.recover(reason)
        except Exception as again:  # noqa: BLE001 - it is tried again at the next visit
            text = f"{source.name}: cannot be restarted: {' '.join(str(again).split())}"
            self._outputs.notice(text, source=source.name)
