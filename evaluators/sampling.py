"""What a sample says about a mean."""

from torch import Tensor


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean of per-image values and its standard error.

    Args:
        values: ``(images,)``, two or more.

    Returns:
        Mean, and the unbiased standard deviation over the root of the number of
        images.
    """
    return float(values.mean()), float(values.std()) / len(values) ** 0.5
