"""The command that explains an update: explain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from gdrepl.commands.arguments import complete_steps, parse_step, whole_number
from gdrepl.commands.kept import whole_in
from gdrepl.commands.registry import Argument, registry
from gdrepl.commands.session import Session
from gdrepl.errors import CommandError
from gdrepl.insight.coordinates import Selection, example_of, parse_selection
from gdrepl.insight.explain import Explained, explain, last_update, next_update, update_from

_COMING, _LAST = "next", "last"
_STEPS = (_COMING, _LAST, "start", "end")


@dataclass(frozen=True, slots=True, eq=False)
class Which:
    """Which update: `next`, `last`, or the step that it leads from; and the numbers to show, None for those that moved most."""

    step: int | str = _LAST
    wanted: Selection | None = None


def parse_which(text: str, session: Session) -> Which:
    """`next`, `37`, `W[0:3, :]`, `37 W`, in either order."""
    head, rest = _halves(text, session)
    step: int | str = _LAST
    if head in (_COMING, _LAST):
        step = head
    elif head:
        step = parse_step(head, session)
    parameters = session.debugger.problem.parameters
    hint = f"a step such as 37, next, or numbers such as {example_of(parameters)}"
    wanted = parse_selection(rest, parameters, hint) if rest else None
    return Which(step, wanted)


def _halves(text: str, session: Session) -> tuple[str, str]:
    """The step and the numbers; the step is the first word, or the last one."""
    words = text.split()
    parameters = session.debugger.problem.parameters
    if _is_step(words[0], session) and not (len(words) == 1 and words[0] in parameters):
        rest = text.strip()[len(words[0]) :].strip()
        if rest and _is_step(rest, session) and rest not in parameters:
            raise CommandError(f"one update at a time: {words[0]} or {rest[:20]}", "for example explain 37")
        return words[0], rest
    if len(words) > 1 and _is_step(words[-1], session) and "[" not in words[-1]:
        return words[-1], text.strip()[: -len(words[-1])].strip()
    return "", text.strip()


def _is_step(word: str, session: Session) -> bool:
    return word in _STEPS or word.startswith("$") or whole_number(whole_in(session, word)) is not None


def _complete(session: Session) -> Iterable[str]:
    return [_COMING, *complete_steps(session), *_parameters(session)]


def _parameters(session: Session) -> Iterable[str]:
    return list(session.debugger.problem.parameters) if session.ready else []


def _after(session: Session, head: str) -> Iterable[str]:
    return _parameters(session)


Asked = Annotated[Which, Argument("step", parse_which, _complete, rest=True, after=_after)]


@registry.command("explain", group="insight", repeats=True, syntax="[next | STEP] [PARAMETER | SLICE]")
def explain_(session: Session, which: Asked | None = None) -> Explained:
    """Show why the last update moved the parameters as it did, term by term.

    `explain next` is about the update to come, which is made aside; at step 0 that is what `explain` shows. `explain 37` is
    about the one that leads from step 37 to 38. `explain W`, `explain 37 W[0:3, :]` choose the numbers to show; of a parameter
    of more than 6, those that moved most are shown.

    The gradient is clipped, parameters decay, moments are updated, and the rule moves the parameters, each in the order of
    Keras (keras/src/optimizers: base_optimizer.py and the optimizer's own file). `m` and `v` are the moving averages of the
    gradient and of its square; while they are young, bias correction makes up for their start at zero. Sources: sgd.py
    (Sutskever et al. 2013), adam.py and adamax.py (Kingma & Ba 2014; amsgrad: Reddi et al. 2018), adamw.py (Loshchilov &
    Hutter 2017), nadam.py (Dozat 2015), rmsprop.py (Hinton's lecture 6e; Graves 2013), adagrad.py (Duchi et al. 2011),
    adadelta.py (Zeiler 2012), lion.py (Chen et al. 2023), ftrl.py (McMahan et al. 2013), lamb.py (You et al. 2019). Of other
    optimizers the slots are shown.

    All is computed again in NumPy from the state before the update, in float64 and in the problem's dtype, and compared with
    what happened. An ULP is a unit in the last place. More than 4 are let pass only where rounding may have made them, and then
    the term that cancels is named (running error analysis: Higham 2002, section 3.3); else the explanation says that it does
    not account for the update.

    Example: explain next
    """
    debugger = session.debugger
    asked = which or Which()
    if asked.step == _COMING:
        update = next_update(debugger)
    else:
        update = last_update(debugger) if isinstance(asked.step, str) else update_from(debugger, asked.step)
    wanted = asked.wanted
    if wanted is not None and wanted.parameter not in update.before.parameters:
        raise CommandError(f"the problem of that update has no parameter {wanted.parameter}", "explain alone shows all")
    return explain(debugger, update, wanted)
