"""How results are drawn: size, colour, characters and digits of the terminal at hand."""

from __future__ import annotations

from dataclasses import dataclass

_NARROW = 36  # cells


@dataclass(frozen=True, slots=True)
class Style:
    """What the views may use.

    Attributes:
        width, height: of the terminal, in cells. No line is wider.
        color: False draws without a single escape code.
        ascii_only: True draws with ASCII characters only.
        precision: significant digits of a number, at most.
    """

    width: int = 80
    height: int = 24
    color: bool = True
    ascii_only: bool = False
    precision: int = 7

    @property
    def narrow(self) -> bool:
        """Whether columns have hardly any room: their numbers have fewer digits then."""
        return self.width < _NARROW

    @property
    def column_digits(self) -> int:
        """Significant digits of a number in a column, at most."""
        return min(self.precision, 3) if self.narrow else self.precision

    @property
    def arrow(self) -> str:
        """Between what was and what is."""
        return "->" if self.ascii_only else "→"

    @property
    def ellipsis(self) -> str:
        """Where something was left out."""
        return "..." if self.ascii_only else "…"
