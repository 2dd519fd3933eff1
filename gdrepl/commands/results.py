"""What commands return: frozen values. A view draws them, JSON prints them, a replay compares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gdrepl.engine.snapshot import OPTIONAL, SAID, Array, Point, Stop
from gdrepl.insight.chart import Chart
from gdrepl.insight.gradient import Term
from gdrepl.insight.phases import Made


@dataclass(frozen=True, slots=True, eq=False)
class Displayed:
    """One `display`: its number, expression and value; where that could not be computed it is None, and `error` says why.

    `changed` tells that it is another value than at the stop before; recordings leave it out.
    """

    id: int
    expression: str
    value: Array | None
    error: str = ""
    changed: bool = field(default=False, metadata={"recorded": False})


@dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """A run or a move: signed steps taken, the point arrived at, why it ended, the point left, and the displays.

    When the run ended at a value that is not finite, `last_finite` is the point before it. A jump to another branch names the
    one that it left in `came_from`.
    """

    taken: int
    point: Point
    stops: tuple[Stop, ...]
    before: Point
    branch: str
    displays: tuple[Displayed, ...] = ()
    last_finite: Point | None = None
    came_from: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Phased:
    """A walk by phases of updates.

    Attributes:
        step: where we stand.
        phase: the latest phase of the update from there; "" between two updates.
        made: the phases that were made; after going back, the one that we stand behind.
        stepped: what the updates came to that were finished on the way.
        back: how many phases it went back, if that was its way.
        displays: inside an update, as things stand.
    """

    step: int
    phase: str
    made: tuple[Made, ...]
    stepped: Stepped | None = field(default=None, metadata=OPTIONAL)
    back: int | None = field(default=None, metadata=OPTIONAL)
    displays: tuple[Displayed, ...] = field(default=(), metadata=OPTIONAL)
    notes: tuple[str, ...] = field(default=(), metadata=OPTIONAL)

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Why the updates on the way ended."""
        return () if self.stepped is None else self.stepped.stops


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """The gradient at a point, its norm, and the chain it comes from."""

    gradient: Mapping[str, Array]
    norm: float
    step: int
    loss: Array
    expression: str
    parameters: Mapping[str, Array]
    chain: tuple[Term, ...]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Points as columns: step, loss, parameters, gradient, learning_rate; `norms` names what is shown as a norm."""

    points: Mapping[str, Any]
    branch: str
    norms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Printed:
    """The value of an expression; over past steps, an array whose first axis is those `steps`.

    `number` is the one that it is kept by, as $1; recordings leave it out, since older ones have none.
    """

    expression: str
    value: Array
    steps: tuple[int, ...] = ()
    number: int = field(default=0, metadata={"recorded": False})


@dataclass(frozen=True, slots=True, eq=False)
class KeptValues:
    """The convenience values: (name, value); a value of too many numbers is None."""

    values: tuple[tuple[str, Array | None], ...]


@dataclass(frozen=True, slots=True)
class OwnCommands:
    """What define and alias have made: name -> lines, and name -> text."""

    defined: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What `whatis` says of an expression: kind of name, shape, dtype."""

    expression: str
    kind: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True, eq=False)
class StopInfo:
    """One stop as `info break` lists it; `note` says why it cannot be computed here, if so.

    `seen` is the value that it saw when it last stopped a run, at step `seen_at`; `once` that it is then switched off.
    """

    id: int
    kind: str
    text: str
    enabled: bool
    hits: int
    ignore: int = 0
    temporary: bool = False
    note: str = ""
    name: str = field(default="", metadata=OPTIONAL)
    once: bool = field(default=False, metadata=OPTIONAL)
    seen: Array | None = field(default=None, metadata=OPTIONAL)
    seen_at: int | None = field(default=None, metadata=OPTIONAL)
    commands: tuple[str, ...] = field(default=(), metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Stops:
    """The stops."""

    stops: tuple[StopInfo, ...]


@dataclass(frozen=True, slots=True)
class StopSet:
    """A stop that was just set, or given another condition; `definition` is that of an event."""

    id: int
    kind: str
    text: str
    temporary: bool = False
    name: str = field(default="", metadata=OPTIONAL)
    definition: str = field(default="", metadata={**OPTIONAL, **SAID})


@dataclass(frozen=True, slots=True, eq=False)
class Displays:
    """Every display with its value here."""

    displays: tuple[Displayed, ...]


@dataclass(frozen=True, slots=True)
class BranchInfo:
    """One branch as `info branches` lists it, with the loss and the rate at its end; `optimizer` tells the schedule, too."""

    name: str
    parent: str | None
    fork_step: int
    start: int
    end: int
    final_loss: Array
    current: bool
    optimizer: str = ""
    loss: str = ""
    learning_rate: Array | None = field(default=None, metadata=SAID)


@dataclass(frozen=True, slots=True)
class Branches:
    """All branches, oldest first."""

    branches: tuple[BranchInfo, ...]


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One checkpoint as `info checkpoints` lists it, with the loss there; `current` where we stand at it."""

    id: int
    name: str
    branch: str
    step: int
    loss: Array
    current: bool
    optimizer: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """All checkpoints, oldest first."""

    checkpoints: tuple[CheckpointInfo, ...]


@dataclass(frozen=True, slots=True)
class CheckpointMade:
    """A checkpoint that was just made."""

    id: int
    name: str
    branch: str
    step: int


@dataclass(frozen=True, slots=True)
class SettingPair:
    """A setting that two branches differ in, as text; "" where one of them has none."""

    name: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, eq=False)
class LossPair:
    """The losses of two branches at a step; None where one of them has no such step."""

    step: int
    a: Array | None
    b: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class Diff:
    """Two branches side by side.

    `step` is the first step of `first` to `last` at which `name` (the loss or a parameter) is further apart than the tolerance
    allows; None where there is none.
    """

    a: str
    b: str
    settings: tuple[SettingPair, ...]
    tolerance: float
    first: int
    last: int
    step: int | None
    name: str
    losses: tuple[LossPair, ...]
    notes: tuple[str, ...] = ()
    chart: Chart | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ParameterInfo:
    """One parameter: its value at step 0 of the branch, and here."""

    name: str
    shape: tuple[int, ...]
    start: Array
    value: Array


@dataclass(frozen=True, slots=True, eq=False)
class ConstantInfo:
    """One constant, and for one read from a file where it came from and the SHA-256 of its bytes."""

    name: str
    shape: tuple[int, ...]
    value: Array
    origin: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Variables:
    """The parameters and constants of the problem in force."""

    parameters: tuple[ParameterInfo, ...]
    constants: tuple[ConstantInfo, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ProblemInfo:
    """Everything about the problem in force; the last six are what the zoo knows of it."""

    name: str
    loss: str
    dtype: str
    engine: str
    parameters: tuple[ParameterInfo, ...]
    constants: tuple[ConstantInfo, ...]
    description: str = ""
    domain: str = ""
    minimum: float | None = None
    minima: tuple[Mapping[str, Any], ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SlotInfo:
    """One optimizer variable."""

    slot: str
    parameter: str | None
    value: Array


@dataclass(frozen=True, slots=True, eq=False)
class OptimizerInfo:
    """The optimizer in force: every hyperparameter and every slot."""

    name: str
    text: str
    learning_rate: Array
    schedule: str | None
    hyperparameters: Mapping[str, Any]
    slots: tuple[SlotInfo, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of names with a few words each, such as the zoo or the optimizers that Keras has."""

    title: str
    items: tuple[tuple[str, str], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SessionInfo:
    """Where the session stands and what it holds."""

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Something was set: what it was and what it is, and notes for the user."""

    name: str
    before: Any
    after: Any
    notes: tuple[str, ...] = ()
    origin: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A problem was put in force: its loss and the point at step 0."""

    loss: str
    name: str
    point: Point
    branch: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """Something was done that has no value to show but a line."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Plotted:
    """A chart."""

    chart: Chart


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One future that `whatif` tried.

    Attributes:
        label: what was changed; "as it is" for nothing.
        outcome: converged, diverged or moving, as its end decides.
        steps: updates made; a value that is not finite ended it.
        final_loss: the loss at its end.
        to_loss: updates until the loss was at most the target; None when it never was, or there is none.
        diverged_at: the first step where its loss was above what counts as diverged, or not finite; None when it has not.
        curve_steps, curve_losses: the step and the loss of some 60 of its points, both ends among them.
        branch: the branch it was kept as, or "".
    """

    label: str
    outcome: str
    steps: int
    final_loss: Array
    to_loss: int | None
    diverged_at: int | None
    curve_steps: Array
    curve_losses: Array
    branch: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class WhatIf:
    """Futures tried from one point, the one without a change first; `target` is the loss that `to_loss` counts to."""

    variants: tuple[Variant, ...]
    step: int
    loss: Array
    target: Array | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A session file was written."""

    path: str
    commands: int
    points: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A session file was loaded; we stand at its point."""

    path: str
    commands: int
    branches: int
    point: Point
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sourced:
    """A script came to its end after so many commands."""

    name: str
    commands: int


@dataclass(frozen=True, slots=True)
class HelpPage:
    """Help for one command or topic."""

    name: str
    usage: str
    summary: str
    text: str
    example: str = ""
    short: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HelpList:
    """Commands by group: (group, ((usage, summary), ...)); `brief` asks for their names alone, and a note."""

    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    brief: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    """The session ends."""
