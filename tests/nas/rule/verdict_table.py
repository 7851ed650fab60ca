"""The table of docs/rule.md: how often the verdict says what, by planted truth.

    PYTHONPATH=.:tests/nas python tests/nas/rule/verdict_table.py [TABLES]

Every row is of the given number of tables (default 2000), five on each of many designs
of uniformly drawn placements, noise of one standard deviation. Intervals are 95%
Clopper-Pearson intervals.
"""

import sys

from rule_plants import END, MIXTURES, RIVALS, START, judged, times
from scipy import stats

SETTINGS = (((3, 3, 3), 64), ((3, 3, 3), 256), ((3, 4, 6, 3), 136))

TRUTHS = {
    "**the rule**, 0.5 SD in every last slot": times(0.5, END),
    "**the rule**, 1 SD": END,
    "**the rule**, 1 SD, turned round": times(-1, END),
    "start rule, 2 SD in every first slot": times(2, START),
}


def cell(verdicts, word):
    """A share in percent with its interval."""
    count, num = int((verdicts == word).sum()), len(verdicts)
    interval = stats.binomtest(count, num).proportion_ci()
    return (
        f"{100 * count / num:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    )


def main(num_tables):
    names = ["-".join(map(str, depths)) + f", n = {n}" for depths, n in SETTINGS]
    print("| truth | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for name, plant in {**TRUTHS, **RIVALS, **MIXTURES}.items():
        word = "contradicted" if "turned round" in name else "supported"
        cells = [
            cell(judged(plant, depths, rows, num_tables, seed=1), word)
            for depths, rows in SETTINGS
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
