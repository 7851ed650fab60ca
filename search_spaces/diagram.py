"""A placement as a picture: stages as columns, blocks in the colours of their kinds.

The data flow down a column and then on to the next one. The letter in every block
says the same as its colour, so that the picture survives grey print, colour
blindness and a terminal without colours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from rich.text import Text

from search_spaces.kinds.block_kind import BlockKind
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.placement import Placement, Slot

BLOCK_WIDTH, BLOCK_HEIGHT, GAP, MARGIN = 56, 20, 5, 12
HEADER_HEIGHT, LEGEND_HEIGHT = 22, 30


@dataclass(frozen=True)
class Cell:
    """One block of the picture, in pixels from the top left corner."""

    slot: Slot
    x: int
    y: int


def cells(placement: Placement) -> tuple[Cell, ...]:
    """Lay out the blocks: stages from left to right, blocks from top to bottom.

    Args:
        placement: What to draw.

    Returns:
        One cell per block, in the order of the forward pass.
    """
    return tuple(
        Cell(
            slot,
            MARGIN + (slot.stage - 1) * (BLOCK_WIDTH + 3 * GAP),
            MARGIN + HEADER_HEIGHT + (slot.block - 1) * (BLOCK_HEIGHT + GAP),
        )
        for slot in placement.slots()
    )


def to_svg(placement: Placement) -> str:
    """Draw the placement.

    Args:
        placement: What to draw.

    Returns:
        A complete SVG document; also valid inside an HTML page.
    """
    laid_out = cells(placement)
    num_stages = len(placement.stages)
    width = 2 * MARGIN + num_stages * (BLOCK_WIDTH + 3 * GAP) - 3 * GAP
    shown = legend_kinds([placement])
    width = max(width, 2 * MARGIN + len(shown) * (BLOCK_WIDTH + 30))
    bottom = max(cell.y for cell in laid_out) + BLOCK_HEIGHT
    height = bottom + LEGEND_HEIGHT + MARGIN
    title = f"Placement {placement}: {_summary(placement)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}" '
        'font-family="sans-serif" font-size="12" text-anchor="middle">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for cell in laid_out:
        if cell.slot.block == 1:
            parts.append(
                f'<text x="{cell.x + BLOCK_WIDTH // 2}" y="{MARGIN + 12}" '
                f'fill="#333333">stage {cell.slot.stage}</text>'
            )
        parts.append(_svg_block(cell.x, cell.y, cell.slot.letter, cell.slot.letter))
    for index, kind in enumerate(shown):
        x = MARGIN + index * (BLOCK_WIDTH + 30)
        y = bottom + LEGEND_HEIGHT - BLOCK_HEIGHT + 4
        label = f"{kind.letter} = {kind.name}"
        parts.append(_svg_block(x, y, kind.letter, label, BLOCK_WIDTH + 16))
    return "\n".join([*parts, "</svg>", ""])


def to_text(placement: Placement, indent: str = "") -> Text:
    """Draw the placement for a terminal.

    Args:
        placement: What to draw.
        indent: Put before every line.

    Returns:
        Text of several lines; ``.plain`` of it is legible without colours.
    """
    column = max(9, *(len(f"stage {n}") for n in range(1, len(placement.stages) + 1)))
    text = Text(indent)
    for number in range(1, len(placement.stages) + 1):
        text.append(f"stage {number}".center(column) + "  ")
    for row in range(max(placement.depths)):
        text.append("\n" + indent)
        for stage in placement.stages:
            if row < len(stage):
                _append_block(text, stage[row], column)
            else:
                text.append(" " * column)
            text.append("  ")
    text.append(f"\n\n{indent}{_summary(placement)}")
    return text


def _append_block(text: Text, letter: str, column: int) -> None:
    # Kept and replaced blocks differ in texture too, for a terminal without colours.
    fill = "░" if letter == "C" else "▓"
    kind = block_kind(letter)
    side = (column - 3) // 2
    block = f"{fill * side} {letter} {fill * (column - 3 - side)}"
    text.append(block, style=f"{kind.ink} on {kind.colour}")


def _svg_block(
    x: int, y: int, letter: str, label: str, width: int = BLOCK_WIDTH
) -> str:
    kind = block_kind(letter)
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BLOCK_HEIGHT}" rx="3" '
        f'fill="{kind.colour}"/>'
        f'<text x="{x + width // 2}" y="{y + BLOCK_HEIGHT // 2 + 4}" '
        f'fill="{kind.ink}">{escape(label)}</text>'
    )


def legend_kinds(placements: Iterable[Placement]) -> list[BlockKind]:
    """The kinds that a legend explains: Conv, MSA, and whatever else is there.

    Args:
        placements: What is drawn.
    """
    there = {letter for placement in placements for letter in placement.letters}
    others = sorted(there - {"C", "M"})
    return [block_kind(letter) for letter in ("C", "M", *others)]


def _summary(placement: Placement) -> str:
    counts = [
        f"{placement.letters.count(kind.letter)} {kind.name}"
        for kind in legend_kinds([placement])
    ]
    return f"{placement.num_blocks} blocks: {', '.join(counts)}"
