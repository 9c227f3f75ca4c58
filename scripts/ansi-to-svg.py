#!/usr/bin/env python3
"""Turns the text of a terminal with its colours into an SVG picture of it.

    tmux capture-pane -e -p | scripts/ansi-to-svg.py [--title TEXT] [--columns N] [--rows N] > picture.svg

Reads SGR sequences (16, 256 and true colours, bold, dim, italic, underline, reverse) and takes every other escape
sequence out. Blocks, box-drawing lines and braille are drawn as shapes, so that neither a font's gaps nor its widths show.
"""

import argparse
import re
import sys
import unicodedata
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

# One cell in units of the picture, and where a letter's foot stands in it.
WIDTH, HEIGHT, FOOT = 10, 20, 15
FONT_SIZE = 16
MARGIN, BAR = 14, 34
BACKGROUND, FOREGROUND, FRAME = "#16161e", "#c8ccd8", "#2a2b36"
FONTS = "'JetBrains Mono','Cascadia Mono','DejaVu Sans Mono',Menlo,Consolas,monospace"
PALETTE = (
    "#1d1f29 #e0616e #8fc379 #e3bd6c #6ca4f0 #c083e0 #56b8c6 #b6bac8 "
    "#666b7d #f0808c #a8d893 #f2d28b #8cbcff #d3a0f0 #7fd4e0 #f2f4fa"
).split()

SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)m|\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Style:
    """How a cell looks; colours are `#rrggbb`, or None for the terminal's own."""

    fg: str | None = None
    bg: str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False

    def ink(self) -> str:
        color = (self.bg or BACKGROUND) if self.reverse else (self.fg or FOREGROUND)
        return mix(color, self.paper() or BACKGROUND) if self.dim else color

    def paper(self) -> str | None:
        return (self.fg or FOREGROUND) if self.reverse else self.bg


def mix(a: str, b: str) -> str:
    """The colour in the middle, a little nearer to `a`."""
    parts = [(3 * int(a[i : i + 2], 16) + 2 * int(b[i : i + 2], 16)) // 5 for i in (1, 3, 5)]
    return "#%02x%02x%02x" % tuple(parts)


def color_of(number: int) -> str:
    """A colour of the 256."""
    if number < 16:
        return PALETTE[number]
    if number >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (number - 232),) * 3)
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return "#%02x%02x%02x" % (steps[number // 36], steps[number // 6 % 6], steps[number % 6])


def extended(codes: list[int]) -> str | None:
    """The colour after 38 or 48, whose codes are taken from the front; None if it is none."""
    kind = codes.pop(0) if codes else None
    if kind == 5 and codes:
        number = codes.pop(0)
        return color_of(number) if number < 256 else None
    if kind == 2 and len(codes) >= 3:
        rgb = tuple(codes[:3])
        del codes[:3]
        return "#%02x%02x%02x" % rgb if max(rgb) < 256 else None
    return None


def restyle(style: Style, parameters: str) -> Style:
    """What an SGR sequence makes of a style."""
    # 38:2::r:g:b has an empty colour space, 4:3 is a kind of underline.
    parameters = re.sub(r"([34]8):2::?(\d+):(\d+):(\d+)", r"\1;2;\2;\3;\4", parameters)
    parameters = re.sub(r"([34]8):5:", r"\1;5;", parameters)
    parameters = re.sub(r"\b4:0", "24", parameters)
    codes = [int(code.split(":")[0] or 0) for code in parameters.split(";")]
    on = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
    off = {23: "italic", 24: "underline", 27: "reverse"}
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = Style()
        elif code in on:
            style = replace(style, **{on[code]: True})
        elif code in off:
            style = replace(style, **{off[code]: False})
        elif code == 22:
            style = replace(style, bold=False, dim=False)
        elif code == 38:
            style = replace(style, fg=extended(codes))
        elif code == 48:
            style = replace(style, bg=extended(codes))
        elif code == 39:
            style = replace(style, fg=None)
        elif code == 49:
            style = replace(style, bg=None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, fg=PALETTE[code - 30 if code < 90 else code - 82])
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, bg=PALETTE[code - 40 if code < 100 else code - 92])
    return style


def cells_of(text: str) -> list[list[tuple[str, Style]]]:
    """Rows of cells: what stands in each (nothing in the second half of a wide character) and its style."""
    rows, style = [], Style()
    for line in text.removesuffix("\n").split("\n"):
        row: list[tuple[str, Style]] = []
        at = 0
        while at < len(line):
            if found := SEQUENCE.match(line, at):
                if found[1] is not None:
                    style = restyle(style, found[1])
                at = found.end()
                continue
            char = line[at]
            at += 1
            if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
                # It belongs to the character before, the second half of a wide one aside.
                last = next((i for i in range(len(row) - 1, -1, -1) if row[i][0]), None)
                if last is not None:
                    row[last] = (row[last][0] + char, row[last][1])
                continue
            row.append((char, style))
            if unicodedata.east_asian_width(char) in "WF":
                row.append(("", style))
        rows.append(row)
    return rows


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


# What is drawn as rectangles: left, top, right and bottom in eighths of a cell.
BLOCKS = {"▀": [(0, 0, 8, 4)], "█": [(0, 0, 8, 8)], "▐": [(4, 0, 8, 8)], "▔": [(0, 0, 8, 1)], "▕": [(7, 0, 8, 8)]}
BLOCKS |= {chr(0x2580 + n): [(0, 8 - n, 8, 8)] for n in range(1, 8)}
BLOCKS |= {chr(0x2590 - n): [(0, 0, n, 8)] for n in range(1, 8)}
QUADRANTS = [(0, 0, 4, 4), (4, 0, 8, 4), (0, 4, 4, 8), (4, 4, 8, 8)]
BLOCKS |= {
    char: [QUADRANTS[int(n)] for n in parts]
    for char, parts in zip("▖▗▘▙▚▛▜▝▞▟", ["2", "3", "0", "023", "03", "012", "013", "1", "12", "123"])
}
SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}

# Arms of box-drawing characters: up, right, down, left; 1 is thin, 2 thick.
LINES = {
    "─": "0101", "━": "0202", "│": "1010", "┃": "2020", "┌": "0110", "┐": "0011", "└": "1100", "┘": "1001",
    "├": "1110", "┤": "1011", "┬": "0111", "┴": "1101", "┼": "1111", "╴": "0001", "╵": "1000", "╶": "0100", "╷": "0010",
    "┏": "0220", "┓": "0022", "┗": "2200", "┛": "2002", "┣": "2220", "┫": "2022", "┳": "0222", "┻": "2202", "╋": "2222",
    "╸": "0002", "╹": "2000", "╺": "0200", "╻": "0020", "╼": "0201", "╾": "0102", "╽": "1020", "╿": "2010",
}  # fmt: skip
CORNERS = {"╭": (1, 1), "╮": (-1, 1), "╰": (1, -1), "╯": (-1, -1)}
# Double lines, as arms of two thin ones, do not join thin ones here.
DOUBLE = {
    "═": "0101", "║": "1010", "╔": "0110", "╗": "0011", "╚": "1100", "╝": "1001", "╠": "1110", "╣": "1011", "╦": "0111",
    "╩": "1101", "╬": "1111",
}  # fmt: skip


def drawn(char: str, x: int, y: int) -> tuple[str, str] | None:
    """The path of a character that is drawn as a shape at this corner: what is filled and what is stroked."""
    if char in BLOCKS:
        w, h = WIDTH / 8, HEIGHT / 8
        return "".join(rectangle(x + l * w, y + t * h, x + r * w, y + b * h) for l, t, r, b in BLOCKS[char]), ""
    if "\u2801" <= char <= "\u28ff":
        dots = ord(char) - 0x2800
        places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
        lit = (places[bit] for bit in range(8) if dots >> bit & 1)
        return "".join(dot(x + WIDTH * (1 + 2 * i) / 4, y + HEIGHT * (1 + 2 * j) / 8) for i, j in lit), ""
    if char in LINES:
        return "".join(arm(x, y, n, int(weight)) for n, weight in enumerate(LINES[char]) if weight != "0"), ""
    if char in CORNERS:
        right, down = CORNERS[char]
        mx, my, r = x + WIDTH / 2, y + HEIGHT / 2, WIDTH / 2
        end = y + (HEIGHT if down > 0 else 0)
        curve = f"M{number(mx + right * r)} {number(my)}Q{number(mx)} {number(my)} {number(mx)} {number(my + down * r)}"
        return "", f"{curve}V{number(end)}"
    if char in DOUBLE:
        return "", double(x, y, DOUBLE[char])
    return None


def rectangle(left: float, top: float, right: float, bottom: float) -> str:
    return f"M{number(left)} {number(top)}H{number(right)}V{number(bottom)}H{number(left)}z"


def dot(x: float, y: float) -> str:
    r = 1.7
    return f"M{number(x - r)} {number(y)}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"


def arm(x: int, y: int, direction: int, weight: int) -> str:
    mx, my, half = x + WIDTH / 2, y + HEIGHT / 2, 0.7 * weight
    match direction:
        case 0:
            return rectangle(mx - half, y, mx + half, my + half)
        case 1:
            return rectangle(mx - half, my - half, x + WIDTH, my + half)
        case 2:
            return rectangle(mx - half, my - half, mx + half, y + HEIGHT)
        case _:
            return rectangle(x, my - half, mx + half, my + half)


def double(x: int, y: int, arms: str) -> str:
    up, right, down, left = (arm == "1" for arm in arms)
    mx, my, gap = x + WIDTH / 2, y + HEIGHT / 2, 2
    path = ""
    # The upper and lower line of each arm to the side, then the left and right one of each arm up and down: a line ends
    # at the near one that it meets, or goes on to the far one where nothing leaves on that side.
    for side, present, edge in ((1, right, x + WIDTH), (-1, left, x)):
        for line, leaves in ((-1, up), (1, down)):
            if present:
                other = left if side > 0 else right
                start = mx + side * gap if leaves else (mx if other else mx - side * gap)
                path += f"M{number(edge)} {number(my + line * gap)}H{number(start)}"
    for side, present, edge in ((1, down, y + HEIGHT), (-1, up, y)):
        for line, leaves in ((-1, left), (1, right)):
            if present:
                other = up if side > 0 else down
                start = my + side * gap if leaves else (my if other else my - side * gap)
                path += f"M{number(mx + line * gap)} {number(edge)}V{number(start)}"
    return path


def papers(row: list[tuple[str, Style]]) -> list[tuple[str | None, str | None]]:
    """The colours of the upper and the lower half of each cell. Half blocks are nothing but that, so that a picture is
    made of as few rectangles as can be."""
    halves = []
    for char, style in row:
        paper, ink = style.paper(), style.ink()
        halves.append({"▀": (ink, paper), "▄": (paper, ink), "█": (ink, ink)}.get(char, (paper, paper)))
    return halves


def svg(rows: list[list[tuple[str, Style]]], columns: int, title: str | None) -> str:
    """The picture."""
    top = BAR if title is not None else MARGIN
    width, height = columns * WIDTH + 2 * MARGIN, len(rows) * HEIGHT + top + MARGIN
    fills: dict[str, list[str]] = {}
    shapes: dict[tuple[str, float], list[str]] = {}
    strokes: dict[str, list[str]] = {}
    letters: list[str] = []

    # Both halves of a row where they differ, else the whole; then the same run in rows below joins it.
    open_runs: dict[tuple[int, int, str], tuple[int, int]] = {}
    done: list[tuple[int, int, int, int, str]] = []
    for half, line in enumerate(h for row in rows for h in zip(*[(a, b) for a, b in papers(row)] or [(), ()])):
        runs, start = set(), 0
        for at in range(1, len(line) + 1):
            if at == len(line) or line[at] != line[start]:
                if line[start] not in (None, BACKGROUND):
                    runs.add((start, at, line[start]))
                start = at
        for run in list(open_runs):
            if run not in runs:
                begun, end = open_runs.pop(run)
                done.append((run[0], begun, run[1], end, run[2]))
        for run in runs:
            open_runs[run] = (open_runs.get(run, (half, 0))[0], half + 1)
    done.extend((l, begun, r, end, color) for (l, r, color), (begun, end) in open_runs.items())
    for l, t, r, b, color in sorted(done, key=lambda d: (d[1], d[0])):
        fills.setdefault(color, []).append(f"M{l * WIDTH} {t * HEIGHT // 2}H{r * WIDTH}V{b * HEIGHT // 2}H{l * WIDTH}z")

    for y, row in enumerate(rows):
        at = 0
        while at < len(row):
            char, style = row[at]
            ink, x = style.ink(), at * WIDTH
            start, at = at, at + 1
            if char in ("▀", "▄", "█", ""):
                continue
            if shape := drawn(char, x, y * HEIGHT):
                shapes.setdefault((ink, 1.0), []).append(shape[0])
                strokes.setdefault(ink, []).append(shape[1])
                continue
            if char in SHADES:
                shapes.setdefault((ink, SHADES[char]), []).append(rectangle(x, y * HEIGHT, x + WIDTH, (y + 1) * HEIGHT))
                continue
            # Plain ASCII of one look is set as one text; anything else a cell at a time, as its font may be of any width.
            text = char
            if char.isascii():
                while at < len(row) and row[at][1] == style and row[at][0].isascii() and row[at][0]:
                    text += row[at][0]
                    at += 1
                # Words with one space between them are set together; wider gaps would collapse.
                words = re.match(r" *[^ ]+(?: [^ ]+)*", text)
                if words and not style.underline:
                    text, at = words[0], start + words.end()
            elif at < len(row) and row[at][0] == "":
                at += 1
            if text.strip() or style.underline:
                letters.append(letter(text, start, y, at - start, style))

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" rx="9" fill="{BACKGROUND}" stroke="{FRAME}"/>',
    ]
    if title is not None:
        circles = zip((20, 40, 60), (PALETTE[1], PALETTE[3], PALETTE[2]))
        out += [f'<circle cx="{x}" cy="17" r="6" fill="{color}"/>' for x, color in circles]
        out.append(
            f'<text x="{width / 2:g}" y="22" text-anchor="middle" font-family="system-ui,sans-serif" font-size="13" '
            f'fill="{mix(FOREGROUND, BACKGROUND)}">{escape(title)}</text>'
        )
    out.append(f'<g transform="translate({MARGIN} {top})">')
    out.append('<g shape-rendering="crispEdges">')
    out += [f'<path fill="{color}" d="{"".join(paths)}"/>' for color, paths in fills.items()]
    out.append("</g>")
    for (color, opacity), paths in shapes.items():
        faint = "" if opacity == 1 else f' fill-opacity="{opacity}"'
        if any(paths):
            out.append(f'<path fill="{color}"{faint} d="{"".join(paths)}"/>')
    for color, paths in strokes.items():
        if any(paths):
            out.append(f'<path fill="none" stroke="{color}" stroke-width="1.4" d="{"".join(paths)}"/>')
    out.append(f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" fill="{FOREGROUND}">')
    return "\n".join([*out, *letters, "</g>", "</g>", "</svg>", ""])


def letter(text: str, column: int, row: int, cells: int, style: Style) -> str:
    """A run of text that takes exactly its cells."""
    lead = 0
    if style.underline:
        text = text.replace(" ", "\u00a0")
    else:
        lead = len(text) - len(text.lstrip())
        cells -= len(text) - len(text.strip())
        text = text.strip()
    attributes = [f'x="{(column + lead) * WIDTH}"', f'y="{row * HEIGHT + FOOT}"']
    attributes.append(f'textLength="{cells * WIDTH}" lengthAdjust="spacingAndGlyphs"')
    if style.ink() != FOREGROUND:
        attributes.append(f"fill={quoteattr(style.ink())}")
    attributes += [
        markup
        for wanted, markup in (
            (style.bold, 'font-weight="bold"'),
            (style.italic, 'font-style="italic"'),
            (style.underline, 'text-decoration="underline"'),
        )
        if wanted
    ]
    return f"<text {' '.join(attributes)}>{escape(text)}</text>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--title", help="text of a title bar; none is drawn without it")
    parser.add_argument("--columns", type=int, default=0, help="at least so many columns")
    parser.add_argument("--rows", type=int, default=0, help="at least so many rows")
    args = parser.parse_args()
    rows = cells_of(sys.stdin.buffer.read().decode("utf-8", "replace"))
    rows += [[] for _ in range(args.rows - len(rows))]
    columns = max([args.columns, *map(len, rows)])
    # `svg` reads rows of one length.
    rows = [row + [(" ", Style())] * (columns - len(row)) for row in rows]
    sys.stdout.buffer.write(svg(rows, columns, args.title).encode())


if __name__ == "__main__":
    main()
