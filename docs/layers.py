"""Draw the package's layers from the table that the architecture test enforces."""

import ast
from collections import defaultdict
from html import escape
from pathlib import Path

_TEST = Path(__file__).parent.parent / "tests" / "test_architecture.py"
_BLUE, _GREY, _TEXT = "#0072B2", "#e8e8e8", "#222222"
_WIDTH, _ROW, _GAP, _LEFT = 760, 34, 8, 40
_LETTER = 7.9  # width of one, in 13 px monospace


def read_layers(path: Path = _TEST) -> dict[str, int]:
    """Read ``LAYERS`` without importing the test."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            return ast.literal_eval(node.value)
    raise ValueError(f"{path} has no LAYERS.")


def draw_layers(layers: dict[str, int]) -> str:
    """Draw one row per layer, the uppermost first; public modules in blue."""
    rows = defaultdict(list)
    for module, layer in layers.items():
        rows[layer].append(module)
    shapes: list[str] = []
    top = _GAP
    for layer in sorted(rows, reverse=True):
        number = f'<text x="8" y="{top + 22}" fill="{_TEXT}">{layer}</text>'
        shapes.append(number)
        left = _LEFT
        for module in sorted(rows[layer], key=lambda name: (name[0] == "_", name)):
            width = round(len(module) * _LETTER) + 18
            if left + width > _WIDTH:
                left, top = _LEFT, top + _ROW
            shapes.append(_box(module, left, top, width))
            left += width + _GAP
        top += _ROW + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        f'font-family="monospace" font-size="13" role="img">'
        f'<rect width="{_WIDTH}" height="{top}" fill="white"/>'
        f"{''.join(shapes)}</svg>\n"
    )


def _box(module: str, left: int, top: int, width: int) -> str:
    fill, ink = (_GREY, _TEXT) if module.startswith("_") else (_BLUE, "white")
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{_ROW - 4}" rx="5" '
        f'fill="{fill}"/><text x="{left + 9}" y="{top + 20}" fill="{ink}">'
        f"{escape(module)}</text>"
    )
