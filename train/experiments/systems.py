"""The systems that the rows of table 1 are about, and what is added to their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from train.annotations.desed_version import enumerated, lack_note
from train.config.preset import load_preset
from train.config.train import TrainConfig
from train.datasets.data_module import needed_sets
from train.experiments.experiment import BASELINE, STRONGER, WEAKER


@dataclass(frozen=True, slots=True)
class System:
    """What a row is about.

    Parameters
    ----------
    key : str
        What the file with its events is called.
    run : str
        The run, by preset, whose network was scored.
    name : str
        What the table calls it.
    reported : float or None
        The report's event F1 on the validation list, %.
    """

    key: str
    run: str
    name: str
    reported: float | None = None


RESNET = "ResNet18 + self-mask (α = {})"
SYSTEMS = (
    System("1_baseline", BASELINE, "DCASE baseline (CRNN, mean teacher)", 23.70),
    System("2_alpha_0.1", STRONGER, RESNET.format(0.1), 31.65),
    System(
        "3_connected", WEAKER, RESNET.format(0.01) + " + connecting & cutting", 32.87
    ),
    System("4_ensemble", WEAKER, RESNET.format(0.01) + " + ensemble", 34.51),
    System(
        "5_ensemble_connected",
        WEAKER,
        RESNET.format(0.01) + " + ensemble + connecting & cutting",
        36.09,
    ),
    System(
        "tuned",
        WEAKER,
        "the last, thresholds and durations tuned on these very validation clips",
    ),
    System("chance", WEAKER, "chance: row 5's events, dealt to other clips"),
)
"""The report's five rows, one with tuned thresholds, and chance."""


def lacking_in(preset: str, config: TrainConfig, without: Sequence[str]) -> list[str]:
    """List the sets that a preset is trained on and a run with other settings is not.

    Examples
    --------
    >>> lacking_in(BASELINE, load_preset(BASELINE, ["unlabelled=0"]), ["weak"])
    ['weak', 'unlabel_in_domain']
    """
    had = needed_sets(config, without)
    return [name for name in needed_sets(load_preset(preset), []) if name not in had]


def marked(system: System, config: TrainConfig, without: Sequence[str]) -> System:
    """Name what a system differs in from what its name promises.

    Parameters
    ----------
    system : System
        One of `SYSTEMS`.
    config : TrainConfig
        Settings of its run.
    without : sequence of str
        Sets that were not trained on.
    """
    note = lack_note(lacking_in(system.run, config, without))
    now, plain = _parts(config), _parts(load_preset(system.run))
    changed = [name for name in plain if now[name] != plain[name]]
    if changed:
        note += f" [{enumerated(changed)} changed]"
    return replace(system, name=system.name + note)


def _parts(config: TrainConfig) -> dict[str, object]:
    """Return what a row's name stands for, beside alpha; the rest is printed below it."""
    network: object = config.network
    if config.system == "crnn":  # of which the other settings have no part
        network = config.network.width
    return {"network": network, "frontend": config.frontend, "scaling": config.scaling}
