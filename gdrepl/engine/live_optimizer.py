"""A live Keras optimizer: built from a spec, applied, its state moved in and out, bit for bit. No other file touches one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gdrepl.engine.optimizer import OptimizerSpec, construct
from gdrepl.engine.schedule import floatx
from gdrepl.engine.snapshot import Array, frozen
from gdrepl.engine.variables import assign, read


def build(spec: OptimizerSpec, variables: Sequence[Any], dtype: str) -> Any:
    """A Keras optimizer with its slots made, ready for `apply`.

    Args:
        spec: what to build.
        variables: the parameters, tf.Variables with names, all of one float type. ScheduleFreeAdamW copies their values
            into its slots: build it when they hold the start.
        dtype: their type, "float32" or "float64"; the rate and all float slots have it too.

    Each plain tf.Variable gets a `path` attribute, its name: Muon asks for one, as Keras' own variables have it.

    Raises:
        CommandError: Keras refuses the hyperparameters.
    """
    for variable in variables:
        if not hasattr(variable, "path"):
            variable.path = variable.name.split(":")[0]
    optimizer = construct(spec, dtype)
    with floatx(dtype):
        optimizer.build(list(variables))
    return optimizer


def apply(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
    """One update of `variables`, as Keras' `fit` would make it; may be traced, inside XLA and loops too.

    With `loss_scale_factor`, `fit` scales the loss, and Keras' `apply` divides the gradients by it: so they are scaled here.
    """
    scale = optimizer.loss_scale_factor
    scaled = [gradient if scale is None else gradient * scale for gradient in gradients]
    with floatx(_dtype_name(variables[0])):
        optimizer.apply(scaled, list(variables))


class Gathered(NamedTuple):
    """What the next update does where gradients are accumulated: the mean gradient it comes to, and whether it is applied."""

    gradient: Sequence[Any]
    applied: Any


def gathered(optimizer: Any, gradients: Sequence[Any]) -> Gathered | None:
    """Tensors of that, in the order of `gradients`; None where none are accumulated. Ask before `apply`; may be traced."""
    import tensorflow as tf

    steps = optimizer.gradient_accumulation_steps
    if not steps:
        return None
    before = [tf.convert_to_tensor(each) for each in optimizer._accumulated_gradients]
    mean = [(gradient + each) / steps for gradient, each in zip(gradients, before)]
    return Gathered(mean, (tf.convert_to_tensor(optimizer._iterations) + 1) % steps == 0)


class Parted(NamedTuple):
    """What Keras makes of an update before its moments; NumPy arrays by parameter.

    Attributes:
        applied: False where this update only gathers its gradient.
        clipped: the gradient that the moments and the step are made from: unscaled, the mean where it was gathered, clipped.
        decayed: the parameters less what weight decay takes from them.
    """

    applied: bool
    clipped: Mapping[str, Array]
    decayed: Mapping[str, Array]


def parted(
    spec: OptimizerSpec, slots: Sequence[Array], parameters: Mapping[str, Array], gradient: Mapping[str, Array]
) -> Parted:
    """The beginning of an update by Keras' own functions, eagerly, on an optimizer and variables of its own.

    They are those that `apply` calls, in its order (keras/src/optimizers/base_optimizer.py). An engine that compiles them may
    round a norm to clip by otherwise in the last bit; what is multiplied and subtracted number by number has the same bits.
    """
    import tensorflow as tf

    variables = [tf.Variable(value, name=name) for name, value in parameters.items()]
    dtype = _dtype_name(variables[0])
    optimizer = build(spec, variables, dtype)
    restore(optimizer, slots)
    scale = optimizer.loss_scale_factor
    used = [tf.convert_to_tensor(gradient[name]) for name in parameters]
    used = used if scale is None else [each * scale / scale for each in used]
    with floatx(dtype):
        mean = gathered(optimizer, used)
        applied = mean is None or bool(mean.applied)
        if applied:
            used = optimizer._clip_gradients(list(used if mean is None else mean.gradient))
            optimizer._apply_weight_decay(variables)
    clipped = {name: frozen(each.numpy()) for name, each in zip(parameters, used)}
    return Parted(applied, clipped, {name: read(each) for name, each in zip(parameters, variables)})


def current_rate(optimizer: Any, dtype: str) -> Any:
    """The rate that the next update uses, a tensor of shape (); may be traced. A warm-up inside an update is not in it."""
    import tensorflow as tf

    with floatx(dtype):
        return tf.cast(tf.convert_to_tensor(optimizer.learning_rate), dtype)


def _dtype_name(variable: Any) -> str:
    return str(getattr(variable.dtype, "name", variable.dtype))


def capture(optimizer: Any) -> tuple[Array, ...]:
    """The whole state in Keras' order, as read-only copies: iteration, the rate if it is plain, then slots.

    All of it is in `optimizer.variables`: no optimizer of Keras 3.15 changes a Python attribute in `apply`.
    """
    return tuple(read(variable.value) for variable in optimizer.variables)


def restore(optimizer: Any, slots: Sequence[Array]) -> None:
    """Put back what `capture` gave, bit for bit.

    Raises:
        ValueError: the count, a shape or a type differs. Nothing is assigned then.
    """
    check_fit(optimizer, slots)
    for variable, slot in zip(optimizer.variables, slots):
        assign(variable.value, slot)


def check_fit(optimizer: Any, slots: Sequence[Array]) -> None:
    """See that `slots` have the count, shapes and types of an optimizer's own.

    Raises:
        ValueError: they have not.
    """
    variables = optimizer.variables
    if len(slots) != len(variables):
        raise ValueError(f"the optimizer has {len(variables)} variables, the snapshot {len(slots)}")
    for position, (variable, slot) in enumerate(zip(variables, slots)):
        shape = tuple(variable.shape)
        if slot.shape != shape or slot.dtype != variable.dtype:
            raise ValueError(f"slot {position} is {variable.dtype} {shape}, the snapshot has {slot.dtype} {slot.shape}")


class SlotName(NamedTuple):
    """What one optimizer variable is: `("momentum", "x")`, or `("iteration", None)` when it belongs to no one parameter."""

    slot: str
    parameter: str | None


def slot_names(optimizer: Any, parameter_names: Sequence[str]) -> tuple[SlotName, ...]:
    """A name for each variable of a built optimizer, in order.

    Keras' names join parameter and slot by an underscore, which says nothing when parameters are called `w` and `w_1`. So
    the owner is found by where the optimizer keeps the variable: in a list with one place for each parameter.
    """
    places = _places(optimizer, len(parameter_names))
    return tuple(_slot_name(optimizer, i, v, places.get(id(v)), parameter_names) for i, v in enumerate(optimizer.variables))


def _places(optimizer: Any, parameters: int) -> dict[int, tuple[str, int | None]]:
    """id of a variable -> the attribute that holds it, and its place in there when that is a list of the parameters."""
    places: dict[int, tuple[str, int | None]] = {}
    for attribute, value in vars(optimizer).items():
        if attribute in ("_variables", "_trainable_variables"):
            continue
        if isinstance(value, list | tuple) and len(value) == parameters:
            places |= {id(each): (attribute, place) for place, each in enumerate(value) if each is not None}
        else:
            places[id(value)] = (attribute, None)
    return places


def _slot_name(
    optimizer: Any, position: int, variable: Any, place: tuple[str, int | None] | None, parameter_names: Sequence[str]
) -> SlotName:
    if variable is optimizer._iterations:
        return SlotName("iteration", None)
    if place is None:
        return SlotName(f"unnamed_{position}", None)
    attribute, index = place
    if index is None:
        return SlotName(attribute.lstrip("_"), None)
    prefix = optimizer._trainable_variables[index].path.replace("/", "_") + "_"
    # Adafactor names its factors after the parameter alone: then the attribute's name says which factor it is.
    named = variable.name.startswith(prefix) and len(variable.name) > len(prefix)
    return SlotName(variable.name[len(prefix) :] if named else attribute.lstrip("_"), parameter_names[index])
