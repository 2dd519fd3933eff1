"""The update rules of Keras' optimizers in NumPy, in Keras' own order of operations; those of Adam's kin are in `adam_rules`.

Each is what `update_step` of its file in keras/src/optimizers computes, constants rounded where Keras rounds them. A rule takes
the sheet of one parameter and the gradient that is left after clipping, writes its terms down, and returns the new parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gdrepl.insight import adam_rules
from gdrepl.insight.rounding import Rounded
from gdrepl.insight.sheet import Book, Sheet


def sgd(sheet: Sheet, g: Rounded) -> Rounded:
    """sgd.py: plain, with momentum (the rate is inside the velocity), or Nesterov's (Sutskever et al. 2013)."""
    book, w = sheet.book, sheet.value
    fresh = g * book.rate
    if not book.is_set("momentum"):
        book.formula("w = w - lr*g")
        sheet.term("update", -fresh)
        return w - fresh
    momentum = book.cast(book.number("momentum"))
    carried = sheet.slot("momentum") * momentum
    book.formula("m = momentum*m - lr*g")
    m = sheet.becomes("momentum", carried - fresh)
    if not book.is_set("nesterov"):
        book.formula("w = w + m")
        sheet.parts(carried, -fresh)
        sheet.term("update", m)
        return w + m
    book.formula("w = w + momentum*m - lr*g")
    ahead = m * momentum
    sheet.parts(carried * momentum, -fresh * (momentum + 1.0))
    update = sheet.term("update", ahead - fresh)
    return w + update


def rmsprop(sheet: Sheet, g: Rounded) -> Rounded:
    """rmsprop.py (Hinton's lecture 6e; Graves 2013 for centered); epsilon is inside the root."""
    book, w = sheet.book, sheet.value
    rho, rest = book.constant(book.number("rho")), book.constant(1 - book.number("rho"))
    epsilon = book.constant(book.number("epsilon"))
    book.formula("v = rho*v + (1 - rho)*g^2")
    v = sheet.becomes("velocity", rho * sheet.slot("velocity") + rest * g.squared())
    spread, inner = v, "v + eps"
    if book.is_set("centered"):
        book.formula("a = rho*a + (1 - rho)*g")
        average = sheet.becomes("average_gradient", rho * sheet.slot("average_gradient") + rest * g)
        spread, inner = sheet.term("v - a^2", v - average.squared()), "v - a^2 + eps"
    whole = spread + epsilon
    sheet.epsilon(epsilon, whole)
    denominator = sheet.term("denominator", whole.sqrt())
    step = book.rate * g / denominator
    if not book.is_set("momentum"):
        book.formula(f"w = w - lr*g/sqrt({inner})")
        sheet.term("update", -step)
        return w - step
    book.formula(f"m = momentum*m + lr*g/sqrt({inner})")
    book.formula("w = w - m")
    sheet.term("lr*g/denominator", step)
    carried = book.constant(book.number("momentum")) * sheet.slot("momentum")
    m = sheet.becomes("momentum", carried + step)
    sheet.parts(carried, step)
    sheet.term("update", -m)
    return w - m


def adagrad(sheet: Sheet, g: Rounded) -> Rounded:
    """adagrad.py (Duchi et al. 2011); epsilon is inside the root."""
    book = sheet.book
    epsilon = book.constant(book.number("epsilon"))
    book.formula("s = s + g^2")
    total = sheet.becomes("accumulator", sheet.slot("accumulator") + g.squared())
    whole = total + epsilon
    sheet.epsilon(epsilon, whole)
    denominator = sheet.term("denominator", whole.sqrt())
    book.formula("w = w - lr*g/sqrt(s + eps)")
    step = book.rate * g / denominator
    sheet.term("update", -step)
    return sheet.value - step


def adadelta(sheet: Sheet, g: Rounded) -> Rounded:
    """adadelta.py (Zeiler 2012, algorithm 1), times the rate."""
    book = sheet.book
    rho, rest = book.constant(book.number("rho")), book.constant(1 - book.number("rho"))
    epsilon = book.constant(book.number("epsilon"))
    book.formula("s = rho*s + (1 - rho)*g^2")
    total = sheet.becomes("accumulated_grad", rho * sheet.slot("accumulated_grad") + rest * g.squared())
    book.formula("delta = -sqrt(d + eps)*g/sqrt(s + eps)")
    moved, whole = sheet.slot("accumulated_delta_var"), total + epsilon
    sheet.epsilon(epsilon, whole)
    numerator = sheet.term("numerator", (moved + epsilon).sqrt())
    denominator = sheet.term("denominator", whole.sqrt())
    delta = sheet.term("delta", -(numerator * g / denominator))
    book.formula("d = rho*d + (1 - rho)*delta^2")
    sheet.becomes("accumulated_delta_var", rho * moved + rest * delta.squared())
    book.formula("w = w + lr*delta")
    return sheet.value + sheet.term("update", book.rate * delta)


def lion(sheet: Sheet, g: Rounded) -> Rounded:
    """lion.py (Chen et al. 2023, algorithm 2): the sign alone counts."""
    book, m = sheet.book, sheet.slot("momentum")
    beta_1, beta_2 = book.cast(book.number("beta_1")), book.cast(book.number("beta_2"))
    book.formula("c = b1*m + (1 - b1)*g")
    book.formula("w = w - lr*sign(c)")
    book.formula("m = b2*m + (1 - b2)*g")
    carried, fresh = m * beta_1, g * (1.0 - beta_1)
    direction = sheet.term("direction c", carried + fresh)
    sheet.parts(carried, fresh)
    sign = direction.sign()
    step = book.rate * sign
    sheet.term("update", -step)
    sheet.becomes("momentum", m * beta_2 + g * (1.0 - beta_2))
    return sheet.value - step


def ftrl(sheet: Sheet, g: Rounded) -> Rounded:
    """ftrl.py (McMahan et al. 2013, algorithm 1, with shrinkage): the parameter is made anew from what was summed up."""
    book, w, rate = sheet.book, sheet.value, sheet.book.rate
    power = -book.number("learning_rate_power")
    l1, shrinkage = book.number("l1_regularization_strength"), book.number("l2_shrinkage_regularization_strength")
    l2 = book.constant(book.number("l2_regularization_strength")) + book.constant(book.number("beta")) / (rate * 2.0)
    used, name = g, "g"
    if shrinkage:
        book.formula("g' = g + 2*shrinkage*w")
        used, name = sheet.term("shrunk gradient", g + w * (2 * shrinkage)), "g'"
    before = sheet.slot("accumulator")
    after = before + g.squared()
    book.formula("s' = s + g^2")
    book.formula(f"z = z + {name} - (s'^{power:g} - s^{power:g})/lr*w")
    raised = after.power(power)
    sigma = sheet.term("sigma", (raised - before.power(power)) / rate)
    linear = sheet.becomes("linear", sheet.slot("linear") + (used - sigma * w))
    book.formula(f"w = (clip(z, -l1, l1) - z)/(s'^{power:g}/lr + 2*l2)")
    quadratic = sheet.term("quadratic", raised / rate + l2 * 2.0)
    new = (linear.clipped(l1) - linear) / quadratic
    sheet.becomes("accumulator", after)
    sheet.term("update", new - w)
    return new


@dataclass(frozen=True, slots=True)
class Rule:
    """How one optimizer updates a parameter.

    Attributes:
        step: computes it.
        begin: what is computed once for all parameters, before them.
    """

    step: Callable[[Sheet, Rounded], Rounded]
    begin: Callable[[Book], None] = lambda book: None


RULES: Mapping[str, Rule] = {
    "SGD": Rule(sgd),
    "RMSprop": Rule(rmsprop),
    "Adagrad": Rule(adagrad),
    "Adadelta": Rule(adadelta),
    "Lion": Rule(lion),
    "Ftrl": Rule(ftrl),
    "Adam": Rule(adam_rules.adam),
    "AdamW": Rule(adam_rules.adam),
    "Adamax": Rule(adam_rules.adamax),
    "Nadam": Rule(adam_rules.nadam, adam_rules.nadam_begin),
    "Lamb": Rule(adam_rules.lamb),
}
"""The optimizers whose terms are known, by the names of Keras' classes."""
OF_MAX = ("velocity_hat", "norm")
"""The slots that are the greater of two numbers."""
