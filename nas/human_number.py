"""Large numbers as people write them: 1.80 M parameters, 11.2 G MACs."""

import math

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

SHORT = 1e5
"""Numbers below this are written out (our choice: five digits are read at a glance)."""


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
