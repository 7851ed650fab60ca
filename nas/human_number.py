"""Large numbers as people write them: 1.80 M parameters, 11.2 G MACs."""

import math

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

SHORT = 1e5
"""Numbers below this are written out (our choice: five digits are read at a glance)."""


def parse_number(text: str) -> float:
    """Read a number as people write it, the inverse of :func:`human_number`.

    Args:
        text: ``11M``, ``1.80 M``, ``1e6``, ``100,000`` or ``100_000``.

    Returns:
        The number; never NaN.

    Raises:
        ValueError: It is none.
    """
    plain = text.strip().replace(",", "").replace("_", "")
    units = {unit.lower(): size for size, unit in _UNITS}
    size = units.get(plain[-1:].lower(), 1.0)
    value = float(plain if size == 1.0 else plain[:-1]) * size
    if math.isnan(value):
        raise ValueError(text)
    return value


def human_number(value: float | None) -> str:
    """Write a count with three digits and a unit.

    Args:
        value: The number; ``None`` and NaN are a dash.

    Returns:
        ``1.80 M`` for 1,800,000; numbers below 100,000 as they are, with separators.
    """
    if value is None or math.isnan(value):
        return "–"
    if not math.isfinite(value):
        return str(value)
    if abs(value) < SHORT:
        return f"{int(value):,}" if value == int(value) else f"{value:.4g}"
    size, unit = next((s, u) for s, u in _UNITS if abs(value) >= 0.9995 * s)
    scaled = float(f"{value / size:.3g}")
    digits = max(0, 2 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{digits}f} {unit}"
