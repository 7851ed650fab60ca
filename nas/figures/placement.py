"""A placement as a picture: stages as columns, blocks in two colours.

The data flow down a column and then on to the next one. The letter in every block
says the same as its colour, so that the picture survives grey print, colour
blindness and a terminal without colours.
"""

from dataclasses import dataclass
from html import escape

from rich.text import Text

from search_spaces.placement import Letter, Placement, Slot

COLOURS: dict[str, str] = {"C": "#0072B2", "M": "#E69F00"}
"""Blue for Conv, orange for MSA: two hues that colour-blind readers keep apart.

Source: Okabe & Ito, "Color Universal Design" (2008).
"""

INKS: dict[str, str] = {"C": "#ffffff", "M": "#000000"}
"""Colour of the letter on the block; contrast at least 4.5:1 (WCAG 2.1, AA)."""

NAMES: dict[str, str] = {"C": "Conv", "M": "MSA"}

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
        One cell a block, in the order of the forward pass.
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
    width = max(width, 2 * MARGIN + 2 * (BLOCK_WIDTH + 30))
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
    for index, letter in enumerate(NAMES):
        x = MARGIN + index * (BLOCK_WIDTH + 30)
        y = bottom + LEGEND_HEIGHT - BLOCK_HEIGHT + 4
        label = f"{letter} = {NAMES[letter]}"
        parts.append(_svg_block(x, y, letter, label, BLOCK_WIDTH + 16))
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
    # The halves of a plain terminal differ in texture, not in colour alone.
    fill = "░" if letter == "C" else "▓"
    side = (column - 3) // 2
    block = f"{fill * side} {letter} {fill * (column - 3 - side)}"
    text.append(block, style=f"{INKS[letter]} on {COLOURS[letter]}")


def _svg_block(
    x: int, y: int, letter: Letter | str, label: str, width: int = BLOCK_WIDTH
) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BLOCK_HEIGHT}" rx="3" '
        f'fill="{COLOURS[letter]}"/>'
        f'<text x="{x + width // 2}" y="{y + BLOCK_HEIGHT // 2 + 4}" '
        f'fill="{INKS[letter]}">{label}</text>'
    )


def _summary(placement: Placement) -> str:
    num_msas, num_blocks = placement.num_msas, placement.num_blocks
    return f"{num_blocks} blocks: {num_blocks - num_msas} Conv, {num_msas} MSA"
