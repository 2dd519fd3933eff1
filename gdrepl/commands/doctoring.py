"""The command that says what is going well or wrong: doctor."""

from __future__ import annotations

from gdrepl.commands.registry import registry
from gdrepl.commands.session import Session
from gdrepl.insight.doctor.diagnosis import diagnose
from gdrepl.insight.doctor.finding import Diagnosis


@registry.command("doctor", group="insight", repeats=True)
def doctor(session: Session) -> Diagnosis:
    """Say what is going well or wrong here, a cause before what comes of it.

    Each finding has the number that decides and, behind the arrow, the command that looks deeper. Severe: the run is lost, or
    gets nowhere as it is. Warning: it costs much. It looks at this point, at up to 200 updates that led to it since the latest
    change, and at where the coming update leads; nothing is run, and nothing changed. Where a value is not finite, it is
    the last finite point that it looks at. Beyond 10,000 numbers it leaves out the curvature, which hessian and info lr take
    their time for.

    It knows
      unbounded-loss      no lower bound, by interval arithmetic (Moore 1966), or a fall that grows: a wrong sign
      exploding-exponent  exp and its like overflow, or make the gradient larger than 1e4
      log-domain, domain  a logarithm of 0 or less; a root, quotient or power that has no value
      dead-relu           a gradient of exactly 0 behind relu, max, clip or where (Lu et al. 2019)
      no-gradient, saturation, vanishing   floor and sign; sigmoid and tanh far out; next to nothing beside the loss
      saddle, maximum     the loss bends down where the gradient hardly pulls (Dauphin et al. 2014)
      rate-too-high       beyond the limit that info lr tells, or going too far again and again
      rate-too-low, rounding   a thousand updates and more to the lowest point along them; too small for a digit
      momentum-too-high   updates against the gradient, in waves that do not die away (O'Donoghue & Candes 2015)
      epsilon-too-large   the denominators are mostly epsilon (keras/src/optimizers/adam.py, rmsprop.py)
      ravine              a hundred times as curved across as along
      overflow, non-finite, plateau, divergence, clipping, weight-decay   what is seen beside these, or without them

    "Updates to the lowest point along them": with the slopes a before an update and b after it, both along it, that is
    a/(a - b) by the curvature between them; 1 is just right, and below 1/2 it went too far.

    Example: doctor
    """
    return diagnose(session.debugger)
