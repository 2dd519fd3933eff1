"""Loading TensorFlow once, silently, and with arithmetic that does not depend on how XLA groups operations.

Every other module imports TensorFlow inside its functions, so that help, parsing and `--version` stay instant. The first
use of `load()` does the slow work; the shell calls it in a thread while its user reads the banner.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import logging
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_loaded = threading.Event()

# Fused multiply-add rounds once where multiply-then-add rounds twice, and XLA decides what to fuse from everything that
# is compiled together: an armed breakpoint alone changed the last bits of Adam on Rosenbrock. The AVX instruction set has
# no fused multiply-add, so with it the bits depend on the problem and the optimizer only, on every x86-64 machine.
_X86_FLAG = "--xla_cpu_max_isa=AVX"

# Every loop is compiled as one function, however many bytes it touches, unless `whole_loop` keeps its operations apart.
_WHOLE_LOOP = "xla_cpu_small_while_loop_byte_threshold=1099511627776"

# The reciprocal square root of RMSprop and others would begin with an estimate of the processor's own, which differs between
# makers: the same descent on Rosenbrock parted in the third digit after 340 updates. Divided and rooted it is exactly rounded.
_SAME_ON_EVERY_PROCESSOR = "xla_cpu_disable_platform_dependent_math=true"

# Fusions of a library that the compiler of whole loops knows nothing of: it refused the largest of 32,768 numbers. The kernels
# of that library are chosen by the processor, too. A flag that XLA does not know ends the process, so it is given only to the
# TensorFlow that it was seen in.
_NO_LIBRARY_FLAG = "--xla_cpu_experimental_ynn_fusion_type="
_NO_LIBRARY_VERSION = "2.21."
_EXTRA_FLAG = f"--xla_backend_extra_options={_WHOLE_LOOP},{_SAME_ON_EVERY_PROCESSOR}"


def load() -> None:
    """Import TensorFlow and Keras and compile one small program, with no line of theirs reaching the terminal.

    Safe to call from any thread and any number of times; later calls return at once.
    """
    if _loaded.is_set():
        return
    with _lock:
        if _loaded.is_set():
            return
        _set_environment()
        with _silent_stderr(), _nothing_collected():
            tf = importlib.import_module("tensorflow")
            importlib.import_module("keras")
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
            # The first device and the first XLA compilation print banners of their own: have them now, unseen.
            tf.function(lambda value: value + 1.0, jit_compile=True, autograph=False)(tf.constant(1.0)).numpy()
        _loaded.set()


@contextmanager
def traced_for_good() -> Iterator[None]:
    """Around the tracing of a function that holds its gradients already: nobody will differentiate the function itself.

    Each `tf.custom_gradient` traced in the body, those inside Keras and a user's loss too, is entered by TensorFlow into a
    table that it never clears, and with it the whole graph and its variables: 5 MB for each program that was dropped. What was
    entered meanwhile is taken out again.
    """
    from tensorflow.python.framework import ops

    table = getattr(ops.gradient_registry, "_registry", {})
    before = set(table)
    try:
        yield
    finally:
        for name in [name for name in table if name not in before and name.startswith("CustomGradient")]:
            del table[name]


def _set_environment() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Matrix products outside XLA: with the newer instructions of some processors their last bits would differ between machines.
    os.environ.setdefault("DNNL_MAX_CPU_ISA", "AVX2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    flags = os.environ.get("XLA_FLAGS", "")
    if platform.machine() in ("x86_64", "AMD64") and "xla_cpu_max_isa" not in flags:
        flags += f" {_X86_FLAG}"
    if "xla_backend_extra_options" not in flags:
        flags += f" {_EXTRA_FLAG}"
    if "ynn_fusion_type" not in flags and importlib.metadata.version("tensorflow").startswith(_NO_LIBRARY_VERSION):
        flags += f" {_NO_LIBRARY_FLAG}"
    os.environ["XLA_FLAGS"] = flags.strip()


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """The collector would look again and again at all that an import makes, which stays: a fifth of the time of the import."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a temporary file: TensorFlow's C++ writes there directly, past `sys.stderr`.

    If the body fails, what was written is given back to standard error, since it may say why.
    """
    try:
        keep = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    with tempfile.TemporaryFile() as unseen:
        sys.stderr.flush()
        os.dup2(unseen.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(keep, 2)
            unseen.seek(0)
            os.write(2, unseen.read())
            raise
        finally:
            os.dup2(keep, 2)
            os.close(keep)
