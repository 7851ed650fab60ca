"""The paper's figures, from the details of evaluations."""

from evaluators.figures.drawing import save_figure
from evaluators.figures.figure import Figure, Image, Line, Panel
from evaluators.figures.paper import FIGURES, Models, paper_figures

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
