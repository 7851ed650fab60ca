"""How large an end-of-stage effect a design can find, before it is run.

In units of the noise: the standard deviation between trials that the slots do not
explain. A pilot of a few seeds of one placement gives its size.
"""

from scipy import optimize, special

from nas.slot_regression import t_quantile

POWER = 0.8
"""The usual chance to find an effect that is there (Cohen 1988)."""

ALPHA = 0.05
"""Two-sided level of the 95% intervals."""


def power_of(effect: float, standard_error: float, df: float) -> float:
    """Chance that the whole 95% interval lies on the effect's side of zero.

    Args:
        effect: True effect.
        standard_error: Standard error of its estimate.
        df: Degrees of freedom of the standard error.

    Returns:
        A probability, by the noncentral t distribution.
    """
    critical = t_quantile(1 - ALPHA / 2, df)
    return 1 - float(special.nctdtr(df, abs(effect) / standard_error, critical))


def detectable(standard_error: float, df: float, power: float = POWER) -> float:
    """The smallest true effect that is found with the given power.

    Args:
        standard_error: Standard error of the estimate.
        df: Degrees of freedom of the standard error.
        power: Chance to find it.

    Returns:
        An effect in the unit of the standard error; 0 if that is 0.
    """
    if standard_error == 0:
        return 0.0

    def missing(ratio: float) -> float:
        return power_of(ratio, 1.0, df) - power

    upper = 10.0
    while missing(upper) < 0:
        upper *= 4
    return float(optimize.brentq(missing, 0.0, upper)) * standard_error
