"""The files of a run: claims.json, .csv, .md, .html and the figures."""

import csv
import io
import json
from pathlib import Path

from nas.claims.figures import claim_figures
from nas.claims.page import page
from nas.claims.run import ClaimsRun
from nas.claims.table import CSV_COLUMNS, csv_rows, markdown, to_dict
from nas.csv_text import csv_row
from nas.figures.paper import save_figure
from nas.ledger.atomic_file import write_atomically
from nas.ledger.json_null import json_null


def write_claims(run: ClaimsRun, directory: str | Path) -> list[Path]:
    """Write the tables, the figures and the page.

    Args:
        run: The claims.
        directory: Where; it is there.

    Returns:
        The files, figures last.
    """
    directory = Path(directory)
    data = to_dict(run)
    table = io.StringIO()
    writer = csv.DictWriter(table, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(csv_row(row) for row in csv_rows(run))
    labels = [one.label for one in run.candidates]
    drawn = [
        save_figure(figure, directory / "figures")
        for figure in claim_figures(run.trained, labels)
    ]
    images = [path for paths in drawn for path in paths if path.suffix == ".png"]
    contents = {
        "claims.json": json.dumps(json_null(data), indent=1),
        "claims.csv": table.getvalue(),
        "claims.md": markdown(run),
        "claims.html": page(data, images),
    }
    for name, text in contents.items():
        write_atomically(directory / name, text)
    return [directory / name for name in contents] + images
