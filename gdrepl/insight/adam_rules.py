"""The update rules of Adam and its kin in NumPy, in Keras' own order of operations, as those of `rules`."""

from __future__ import annotations

import numpy as np

from gdrepl.engine.snapshot import Array
from gdrepl.insight.rounding import Rounded
from gdrepl.insight.sheet import Book, Sheet

NADAM_DECAY = 0.96
"""Of the momentum schedule in nadam.py."""


def _left(book: Book, name: str) -> Rounded:
    """1 - beta^t, where t counts from 1."""
    book.shared("t", book.constant(book.made + 1))
    power = book.cast(book.number(name)).power(float(book.made + 1))
    return book.shared(f"1 - b{name[-1]}^t", 1.0 - power)


def _moments(sheet: Sheet, g: Rounded, rest_1: Rounded, rest_2: Rounded) -> tuple[Rounded, Rounded, Rounded, Rounded]:
    """Both moments, and the two parts of the first one: what was carried on, and what came from the gradient."""
    book = sheet.book
    book.formula("m = m + (g - m)*(1 - b1)")
    book.formula("v = v + (g^2 - v)*(1 - b2)")
    was, spread = sheet.slot("momentum"), sheet.slot("velocity")
    m = sheet.becomes("momentum", was + (g - was) * rest_1)
    v = sheet.becomes("velocity", spread + (g.squared() - spread) * rest_2)
    return m, v, was * (1.0 - rest_1), g * rest_1


def adam(sheet: Sheet, g: Rounded) -> Rounded:
    """adam.py (Kingma & Ba 2014, in the form just before section 2.1, whose epsilon is epsilon hat; Reddi et al. 2018)."""
    book = sheet.book
    rest_1, rest_2 = (book.constant(1 - book.number(name)) for name in ("beta_1", "beta_2"))
    left_1, left_2 = _left(book, "beta_1"), _left(book, "beta_2")
    correction = left_2.sqrt() / left_1
    alpha = book.shared("alpha", book.rate * left_2.sqrt() / left_1)
    m, v, carried, fresh = _moments(sheet, g, rest_1, rest_2)
    if book.is_set("amsgrad"):
        book.formula("v' = max(v', v)")
        v = sheet.becomes("velocity_hat", sheet.slot("velocity_hat").maximum(v))
    epsilon = book.constant(book.number("epsilon"))
    whole = sheet.term("denominator", v.sqrt() + epsilon)
    sheet.epsilon(epsilon, whole)
    book.formula("alpha = lr*sqrt(1 - b2^t)/(1 - b1^t)")
    book.formula("w = w - m*alpha/(sqrt(v') + eps)" if book.is_set("amsgrad") else "w = w - m*alpha/(sqrt(v) + eps)")
    step = m * alpha / whole
    sheet.parts(carried, fresh, 1.0 / whole)
    sheet.share("correction", np.ones(()), float(correction.exact))
    sheet.term("update", -step)
    return sheet.value - step


def adamax(sheet: Sheet, g: Rounded) -> Rounded:
    """adamax.py (Kingma & Ba 2014, section 7.1, plus epsilon)."""
    book = sheet.book
    rest = book.constant(1 - book.number("beta_1"))
    left = _left(book, "beta_1")
    was = sheet.slot("momentum")
    book.formula("m = m + (g - m)*(1 - b1)")
    m = sheet.becomes("momentum", was + (g - was) * rest)
    book.formula("u = max(b2*u, |g|)")
    u = sheet.becomes("norm", (book.constant(book.number("beta_2")) * sheet.slot("norm")).maximum(abs(g)))
    epsilon = book.constant(book.number("epsilon"))
    whole = u + epsilon
    sheet.epsilon(epsilon, whole)
    book.formula("w = w - lr*m/((1 - b1^t)*(u + eps))")
    denominator = sheet.term("denominator", left * whole)
    step = book.rate * m / denominator
    sheet.parts(was * (1.0 - rest), g * rest, 1.0 / whole)
    sheet.share("correction", np.ones(()), float((1.0 / left).exact))
    sheet.term("update", -step)
    return sheet.value - step


def nadam_begin(book: Book) -> None:
    """The product of all momenta of the schedule so far, which all parameters share."""
    decay = book.constant(NADAM_DECAY).power(float(book.made + 1))
    book.formula("u_t = b1*(1 - 0.96^t/2), p = p*u_t")
    product = book.shared_slot("u_product") * book.number("beta_1") * (1.0 - decay * 0.5)
    book.shared_becomes("u_product", product)


def nadam(sheet: Sheet, g: Rounded) -> Rounded:
    """nadam.py (Dozat 2015, algorithm 2). 0.96 is rounded to float32 here, and not in the product."""
    book = sheet.book
    beta_1, decay = book.cast(book.number("beta_1")), book.cast(NADAM_DECAY)
    beta_2 = book.cast(book.number("beta_2"))
    t, product = float(book.made + 1), book.current("u_product")
    now = book.shared("u_t", beta_1 * (1.0 - decay.power(t) * 0.5))
    following = book.shared("u_t+1", beta_1 * (1.0 - decay.power(t + 1) * 0.5))
    left_2 = _left(book, "beta_2")
    m, v, carried, fresh = _moments(sheet, g, 1.0 - beta_1, 1.0 - beta_2)
    left_ahead, left_now = 1.0 - product * following, 1.0 - product
    book.formula("m' = u_t+1*m/(1 - p*u_t+1) + (1 - u_t)*g/(1 - p)")
    m_hat = sheet.term("corrected momentum", following * m / left_ahead + (1.0 - now) * g / left_now)
    v_hat = sheet.term("corrected velocity", v / left_2)
    epsilon = book.constant(book.number("epsilon"))
    whole = sheet.term("denominator", v_hat.sqrt() + epsilon)
    sheet.epsilon(epsilon, whole)
    book.formula("w = w - lr*m'/(sqrt(v/(1 - b2^t)) + eps)")
    step = m_hat * book.rate / whole
    ahead = following / left_ahead
    sheet.parts(carried * ahead, fresh * ahead + (1.0 - now) * g / left_now, 1.0 / whole)
    plain = (following * m + (1.0 - now) * g) * book.rate / (v.sqrt() + epsilon)
    sheet.share("correction", np.ones(()), _ratio(step.exact, plain.exact))
    sheet.term("update", -step)
    return sheet.value - step


def _ratio(one: Array, other: Array) -> float:
    return float(np.sqrt(np.sum(one * one) / np.sum(other * other)))


def lamb(sheet: Sheet, g: Rounded) -> Rounded:
    """lamb.py (You et al. 2019, algorithm 2): Adam's direction, of a length in proportion to that of the parameter."""
    book, w = sheet.book, sheet.value
    rest_1, rest_2 = (book.constant(1 - book.number(name)) for name in ("beta_1", "beta_2"))
    left_1, left_2 = _left(book, "beta_1"), _left(book, "beta_2")
    m, v, carried, fresh = _moments(sheet, g, rest_1, rest_2)
    m_hat = sheet.term("corrected momentum", m / left_1)
    epsilon = book.constant(book.number("epsilon"))
    whole = sheet.term("denominator", (v / left_2).sqrt() + epsilon)
    sheet.epsilon(epsilon, whole)
    book.formula("r = m/(1 - b1^t)/(sqrt(v/(1 - b2^t)) + eps)")
    direction = sheet.term("direction r", m_hat / whole)
    own, length = w.squared().total().sqrt(), direction.squared().total().sqrt()
    trust = own / length if own.native > 0 and length.native > 0 else book.constant(1.0)
    sheet.term("trust ratio", trust)
    sheet.parts(carried, fresh, 1.0 / whole)
    book.formula("w = w - norm(w)/norm(r)*lr*r, or lr*r where a norm is 0")
    step = trust * book.rate * direction
    sheet.term("update", -step)
    return w - step
