"""Expressions that a stranger's file might hold: each is refused, at once, and by a refusal rather than an accident."""

from __future__ import annotations

import sys
import time

import pytest

from gdrepl.errors import ExpressionError
from gdrepl.expression import parse, parse_call, parse_value

NAMES = ["x", "y", "W"]

ATTRIBUTES = """
x.real | x.__class__ | x.__class__.__base__.__subclasses__() | (1).__class__ | (1.5).hex() | [].__class__ | [x].append(1)
().__class__.__bases__[0] | x.numpy() | x.assign(3) | x.graph | x.op.graph | x.device | slot.__class__ | slot._private
slot.momentum.x | slot.a.b(x) | slot.__dict__ | slot.__init__.__globals__ | sin.__globals__ | sum.__self__ | pi.real
loss.numpy | grad.x | grad(x).numpy() | prev(x).numpy() | (x + 1).shape | W[0].T | W.T | (x).__add__(1) | x . real
x.__getattribute__(x) | tf.io | tf.io.read_file(x) | tf.py_function(x) | np.load(x) | keras.utils | math.sin(x) | os.system(x)
sys.modules | builtins.eval(x) | x.__reduce__() | x.__setattr__(x, y) | sin(x).real | (x, y).count | slot.momentum(x).real
update(x).T | x.__doc__[0] | x.__module__ | pi.__class__.__mro__[1] | e.__format__(x) | slot.x.__class__
"""
DUNDERS = """
__import__ | __import__(x) | __builtins__ | __builtins__[0] | __name__ | __file__ | __doc__ | __loader__ | __spec__ | __debug__
__build_class__(x) | __class__ | __dict__ | __globals__ | __subclasses__() | __mro__ | __init__(x) | __call__(x) | x + __name__
sin(__import__) | W[__name__] | grad(__class__) | prev(__import__(x)) | slot.momentum(__class__) | __slots__ | __x | ____
"""
BUILTINS = """
eval(x) | exec(x) | compile(x, y, W) | open(x) | input() | print(x) | globals() | locals() | vars() | dir() | getattr(x, y)
setattr(x, y, 1) | delattr(x, y) | hasattr(x, y) | type(x) | object() | id(x) | repr(x) | str(x) | bytes(9) | bytearray(9)
chr(65) | ord(x) | help() | exit() | quit() | breakpoint() | memoryview(x) | range(9) | map(sin, x) | iter(x) | next(x)
super() | classmethod(x) | isinstance(x, y) | callable(x) | hash(x) | int(x) | float(x) | complex(x) | list(x) | dict()
"""
COMPREHENSIONS = """
[x for x in y] | [i for i in W if i] | {x for x in y} | {x: y for x in W} | (x for x in y) | sum(x for x in y)
[[a for a in b] for b in W] | [x async for x in y] | [*x] | {*x} | {**x} | {x: y} | {x} | {} | [x, *y] | sin(*x) | sin(**x)
max(x, *y) | [x := y for y in W] | any(i > 0 for i in x) | [0 for a in W for b in W for c in W] | sum([i*i for i in W])
"""
LAMBDAS = """
lambda: 0 | lambda x: x | (lambda: x)() | (lambda *a, **k: x)(1) | lambda: (yield) | sin(lambda: x) | [lambda: x][0]
lambda x=1: x | (lambda f: f(f))(lambda f: f(f)) | where(x > 0, lambda: x, y) | yield | (yield x) | (yield from x) | await x
(lambda: lambda: lambda: x)()()() | lambda: lambda: 0 | x if y else W | (x if x else y) + 1 | not lambda: x
"""
POWERS = """
9**9**9 | 9**9**9**9 | 10**400 | (10**200)**2 | 2**2**2**2**2**2 | x + 9**9**9 | 2**1e9 | sin(9**999) | (-9)**9999
[1, 9**9**9] | x**(9**9**9) | 9.9**9**9 | 1e308**2 | prev(9**9**9) | 1e999 | -1e999 | 1e400*x | x**1e999 | 0xffff**0xffff
999999999**999999999 | (1e200*1e50)**2 | (2 + 9)**(9 * 999) | W[0, 9**9**9] | (9/2)**99999
"""
WALRUS = """
x := 1 | (x := 1) | (y := x) + y | sin(x := 3) | [y := 1, y**2] | x = 1 | x == y = 1 | x += 1 | x -= y | x **= 2 | x, y = 1, 2
del x | import os | from os import path | pass | return x | raise x | assert x | global x | nonlocal x | class A: pass
def f(): pass | if x: y | while x: y | for x in y: W | try: x | with x: y | x; y | x: int | x: int = 3 | @x | async def f(): x
"""
OPERATORS = """
x ^ 2 | x & y | x or | x || y | x && y | ~x | x << 99 | x >> 1 | 1 << 999999999 | x in y | x not in y | x is y | x is not y
x <> y | x ? y | x ! y | !x | $x | x$ | # | x \\ y | x -> y | x => y | x ++ | x -- | ... | x[...] | W[..., 0]
x[y] | x[0:y] | x[sin(x)] | x[1.5] | x[True] | x[None] | x[-] | x[] | x[0][x] | W[0, x] | x[1:2:0] | x[1e3] | x[999999999999]
True | False | None | not None | x + True | 1j | x*2j | Ellipsis | NotImplemented | ,
x, | x, y | (x, y) | () | [] | [[]] | [x, []]
"""
CALLS = """
sin() | sin(x, y) | sin(x=1) | sin(x, y=1) | clip(x) | where(x) | sin | sin + 1 | x(1) | x() | pi(1) | sin(x)(y) | (sin)(x)(x)
[sin][0](x) | grad(1) | grad(x + 1) | grad(x, y) | grad() | grad(sin) | grad(loss) | update(1) | update(grad(x)) | prev() | prev
prev(x, y) | prev(prev(x)) | slot | slot(x) | slot[0] | slot.momentum(1) | slot.momentum(x, y) | slot.momentum(x=1) | slot()
unknown | unknown(x) | os | tf | np | self | loss(x) | step(1) | lr() | 3(4) | (1)(2) | [1](2) | (x > 0)(1) | sin(x)[y]
"""
STRINGS = [
    "''", '""', "'a'", '"a"', "'''a'''", "b'a'", "r'a'", "u'a'", "f'{x}'", 'f"{x!r}"', "f'{x:{y}}'", "f'{x.__class__}'",
    "rf'{x}'", "'%s' % x", "'{0.__class__}'.format(x)", "'{}'.format(x)", "f'{__import__(\"os\").system(\"id\")}'",
    "'a' 'b'", "'a'*999999999", "sum('a')", "x['a']", "grad('x')", "eval('x')", "__import__('os').system('id')",
    "getattr(x, 'a')", "open('/etc/passwd')", "`x`", "`id`", "x + 'y'", "f'{(lambda: 1)()}'", "f''", "'", '"', "'''", "b''",
    "'\\x00'", "'\\N{BULLET}'", "str.format('{}', x)", "f'{x:>{99999999}}'",
]  # fmt: skip
LOOK_ALIKES = [
    "\u0445 + 1", "x\u00b2", "\uff58", "\u2212x", "x \u00d7 y", "x \u00f7 y", "\u221ax", "\u03c0", "x\u200b", "\u202ex",
    "x\u00a0+ y",
    "\u1d5e5", "s\u0456n(x)", "\uff08x\uff09", "x \u2264 y", "x \u2260 y", "\u2211(x)", "\u00bd*x", "x\u0301",
    "\ufeffx + y",
    "\u0661 + x", "x\u2028y", "\U0001d465", "\uff41.__class__", "__cl\u00e0ss__", "\ud800", "x + \ud83d", "\U000e0041",
    "x \u2044 y", "\u02c4x", "\u00abx\u00bb", "\u201cx\u201d", "\ufe68n", "\u0000x",
]  # fmt: skip
CONTROL = [
    "\0", "x\0", "x + \0y", "x\ny", "x +\ny", "(x\n)", "x\ry", "x\ty", "\x1b[31mx", "x\x07", "x\x7f", "x\x08y", "\x1a",
    "x\x0cy",
    "x\\\ny", "", " ", "\t", "\n", "\n\n\n", " \t\r\n ", "\v", "x\vy", "x # \n y",
]  # fmt: skip
DEEP = [
    "-" * 100_000 + "x", "-" * 100_000, "-" * 1_999 + "x", "- " * 999 + "x", "+" * 1_999 + "x", "~" * 1_999 + "x",
    "-+~" * 600 + "x",
    "not " * 450 + "x", "(" * 100_000, "(" * 1_000 + "x" + ")" * 999, "(" * 200 + "x" + ")" * 200, "[" * 1_999,
    "[" * 900 + "x" + "]" * 900, "{" * 1_999, "sin(" * 300 + "x" + ")" * 300, "sin(" * 499, "x" + "[0]" * 600,
    "x" + "**x" * 600,
    "x" + "+x" * 900, "x" + "-x" * 900, "x" + "*x" * 900, "2" + "**2" * 600, "2" + "**-2" * 480, "2" + "**not 2" * 200,
    "x" + ".a" * 900,
    "x" + "()" * 900, "lambda:" * 280 + "x", "x if x else " * 160 + "x", "x" + " if x else x" * 150, "1" * 1_999,
    "0x" + "f" * 1_990,
    "9" * 5_000, "x" * 2_001, "x + " * 600 + "x", "max(" + "x," * 900 + "x)", "(x:=" * 450 + "x" + ")" * 450,
    "-(" * 400 + "x" + ")" * 400,
    "await " * 300 + "x", "*" * 1_999, "**" * 999, "." * 1_999, "," * 1_999, ":" * 1_999, "=" * 1_999, "@" * 1_999,
    "x@" * 999 + "x",
    "0" * 1_999 + "1", "1e" + "9" * 1_990, "." + "x." * 990, "#" * 1_999, "\\" * 1_999,
    "[x for x in " * 150 + "x" + "]" * 150,
    "x<" * 120 + "not x", "(x,)" * 400, "f(" * 999, "-not " * 300 + "x", "x[" * 400 + "0" + "]" * 400, "1_" * 999 + "1",
    "x\0" * 900,
    "(((((" * 19 + "((((((x" , "prev(" * 99 + "x" + ")" * 99,
]  # fmt: skip


def lines(block: str) -> list[str]:
    return [each.strip() for line in block.strip().splitlines() for each in line.split(" | ")]


HOSTILE = {
    "attribute walk": lines(ATTRIBUTES),
    "dunder name": lines(DUNDERS),
    "builtin": lines(BUILTINS),
    "comprehension": lines(COMPREHENSIONS),
    "lambda": lines(LAMBDAS),
    "huge power": lines(POWERS),
    "assignment or statement": lines(WALRUS),
    "operator, index or constant": lines(OPERATORS),
    "call": lines(CALLS),
    "string": STRINGS,
    "look-alike": LOOK_ALIKES,
    "control character": CONTROL,
    "depth or length": DEEP,
}
ALL = [text for texts in HOSTILE.values() for text in texts]


def test_the_table_is_as_long_as_promised_and_says_nothing_twice() -> None:
    assert len(ALL) >= 220
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("at_point", [False, True], ids=["loss", "condition"])
def test_every_one_is_refused_in_one_short_line(kind: str, at_point: bool) -> None:
    for text in HOSTILE[kind]:
        refused = refusal(text, at_point)
        assert "\n" not in refused.message + refused.hint, text[:60]
        assert refused.message.isprintable(), text[:60]
        assert len(refused.message) < 120, text[:60]
        assert len(refused.caret()) < 2 * 80, text[:60]


def refusal(text: str, at_point: bool) -> ExpressionError:
    try:
        parse(text, NAMES, at_point=at_point)
    except ExpressionError as error:
        return error
    pytest.fail(f"accepted: {text[:60]!r}")


@pytest.mark.parametrize("text", ["__import__", "__x", "x.y", "slot", "slot._x", "sin", "[x for x in y]", "open(x)"])
def test_a_parser_that_takes_any_name_takes_no_hostile_one(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, None, at_point=True)


def test_no_refusal_takes_fifty_milliseconds_of_this_process() -> None:
    for text in ALL:  # once unmeasured: the first use of Python's parser and of difflib imports and caches
        refusal(text, True)
    began = time.process_time()
    for text in ALL:
        refusal(text, True)
    assert time.process_time() - began < 0.05 * len(ALL)


def test_refusals_leave_the_recursion_limit_and_the_stack_alone() -> None:
    before = sys.getrecursionlimit()
    for text in DEEP:
        refusal(text, True)
    assert sys.getrecursionlimit() == before


def test_a_refusal_deep_inside_somebodys_stack_is_still_a_refusal() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
            return
        for text in DEEP:
            refusal(text, True)

    deeper(600)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_value_or_a_call_made_of_hostile_text_is_refused_or_plain_data(kind: str) -> None:
    for text in HOSTILE[kind]:
        for read in (parse_value, parse_call):
            try:
                got = read(text)
            except ExpressionError:
                continue
            assert plain(got), text[:60]


def plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(plain, value))
    if value is None or isinstance(value, bool | int | float):
        return True
    arguments = (*value.arguments, *value.keywords.values())  # type: ignore[attr-defined]
    return value.name.isidentifier() and all(map(plain, arguments))  # type: ignore[attr-defined]
