"""Math threads of a process."""

import os
import sys


def limit_threads(num_threads: int) -> None:
    """Give math libraries one thread a CPU, loaded already or not."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(num_threads)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(num_threads)
