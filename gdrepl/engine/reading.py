"""Two points that follow each other, as whatever watches a run sees them inside the compiled loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from gdrepl.engine.live_optimizer import Gathered
from gdrepl.engine.optimizer import OptimizerSpec
from gdrepl.engine.sizes import Sizes
from gdrepl.expression import Scope

Tensor = Any


class Reading:
    """The point before an update and the one after it; what several triggers ask for is computed once.

    Attributes:
        tf: TensorFlow.
        before, after: the values of both points.
        spec: the optimizer that made the update.
        dtype: of the problem's numbers.
        applied: whether this update moved the parameters rather than only gathering its gradient, shape (); None where
            gradients are not accumulated.
    """

    def __init__(
        self, tf: Any, before: Scope, after: Scope, spec: OptimizerSpec, dtype: str, gathered: Gathered | None = None
    ) -> None:
        self.tf = tf
        self.before = before
        self.after = after
        self.spec = spec
        self.dtype = dtype
        self.used_gradient = before.gradient if gathered is None else dict(zip(before.gradient, gathered.gradient))
        self.applied = None if gathered is None else gathered.applied

    def number(self, name: str, scope: Scope) -> Tensor:
        """The loss, lr or step of a point as float64, shape ()."""
        return self.tf.cast(scope.names[name], self.tf.float64)

    @cached_property
    def loss(self) -> Tensor:
        """The loss after the update, float64."""
        return self.number("loss", self.after)

    @cached_property
    def last_loss(self) -> Tensor:
        """The loss before the update, float64."""
        return self.number("loss", self.before)

    @cached_property
    def step(self) -> Tensor:
        """The step after the update, int32."""
        return self.tf.cast(self.after.names["step"], self.tf.int32)

    @cached_property
    def gradient_sizes(self) -> Sizes:
        """The norms of the gradient after the update."""
        return Sizes(self.tf, self.after.gradient, self.dtype)

    @cached_property
    def used_gradient_sizes(self) -> Sizes:
        """The norms of the gradient that the update used (the mean of those it gathered)."""
        return Sizes(self.tf, self.used_gradient, self.dtype)

    @cached_property
    def last_sizes(self) -> Sizes:
        """The norms of the parameters before the update."""
        return Sizes(self.tf, {name: self.before.names[name] for name in self.before.gradient}, self.dtype)

    @cached_property
    def update_sizes(self) -> Sizes:
        """The norms of what the update added to each parameter."""
        return Sizes(self.tf, self.updates, self.dtype)

    @cached_property
    def updates(self) -> Mapping[str, Tensor]:
        """Parameter -> what the update added to it, float64."""
        wide = self.tf.float64
        return {
            name: self.tf.cast(self.after.names[name], wide) - self.tf.cast(self.before.names[name], wide)
            for name in self.after.gradient
        }

    def any(self, flags: list[Tensor]) -> Tensor:
        """Whether one of them is true, shape ()."""
        result = flags[0]
        for flag in flags[1:]:
            result |= flag
        return result
