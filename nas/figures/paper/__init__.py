"""The paper's figures, from the details of evaluations."""

from nas.figures.paper.drawing import save_figure
from nas.figures.paper.figure import Figure, Image, Line, Panel
from nas.figures.paper.paper import FIGURES, Models, paper_figures

__all__ = [
    "FIGURES",
    "Figure",
    "Image",
    "Line",
    "Models",
    "Panel",
    "paper_figures",
    "save_figure",
]
