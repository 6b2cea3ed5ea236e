"""What a person or a program reads: results on standard output, errors on standard error, clean of control characters.

Colours appear only on a terminal, and never when NO_COLOR is set.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, TextIO

import click

from obstack.agent.telling import one_line as one_line
from obstack.agent.telling import sanitize as sanitize
from obstack.errors import WHOLE_FILE, ConfigurationError, Problem, StackError

_COLOUR = re.compile(r"(\x1b\[(?:0|1|3[1-6])m)")
"""What `paint` writes."""

DETAIL_LINES = 20
NARROWEST = 24
"""A last column with less room than this goes below the others."""
BELOW = 4
"""How far it is indented there."""


def colours_wanted(stream: TextIO) -> bool:
    """Return whether the stream is a terminal that may be coloured."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str | None = None, *, bold: bool = False, stream: TextIO | None = None) -> str:
    """Given text for a stream (standard output by default), return it coloured when the stream may be."""
    if not (colour or bold) or not colours_wanted(stream or sys.stdout):
        return text
    return click.style(text, fg=colour, bold=bold or None)


def print_json(document: Any) -> None:
    """Write one JSON document to standard output. A command with `--json` calls this exactly once.

    It is pure ASCII, so that no character from a machine can drive a terminal.
    """
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def print_line(text: str = "") -> None:
    """Write one line of a result to standard output, clean of control characters from machines.

    Whoever makes a line cleans what it puts there; this is the net below, which lets nothing through but our colours.
    """
    if text.isascii() and text.isprintable():
        sys.stdout.write(text + "\n")
        return
    pieces = _COLOUR.split(text)
    pieces[::2] = [sanitize(piece) for piece in pieces[::2]]
    sys.stdout.write("".join(pieces) + "\n")


def table(
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = (),
    gap: int = 2,
    margin: int = 0,
    width: int | None = None,
) -> list[str]:
    """Given rows of cells, return a text for each, with the columns aligned; no line ends in blanks.

    On a terminal that is too narrow the last column is broken between words and goes on below itself, or stands below
    the others. `margin` is how much the caller puts before each text; `width` stands for the terminal's.
    """
    width = terminal_width() if width is None else width
    cells = [[one_line(cell) for cell in row] for row in ([header, *rows] if header else rows)]
    columns = max((len(row) for row in cells), default=0)
    widths = [max((len(row[index]) for row in cells if index < len(row)), default=0) for index in range(columns)]
    before = sum(widths[:-1]) + gap * (columns - 1)
    texts = []
    for row in cells:
        padded = [cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=False)]
        text = (" " * gap).join([*padded, *row[-1:]]).rstrip()
        if width and len(row) == columns and row[-1] and margin + len(text) > width:
            text = _broken(
                "".join(cell + " " * gap for cell in padded), row[-1], margin + before, margin + BELOW, width
            )
        texts.append(text)
    return texts


def _broken(line: str, last: str, beside: int, below: int, width: int) -> str:
    """Break a row's last cell between words: beside the others, or below them where there is too little room."""
    indent = beside if width - beside >= NARROWEST else below
    pieces = textwrap.wrap(last, max(width - indent, NARROWEST), break_on_hyphens=False)
    first = line + pieces.pop(0) if indent == beside else line.rstrip()
    return "\n".join([first, *(" " * indent + piece for piece in pieces)])


def terminal_width() -> int | None:
    """Return how wide the terminal on standard output is; None when there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_error(error: StackError, *, as_json: bool) -> None:
    """Write an error: for people to standard error; with `--json`, as the one document on standard output."""
    if as_json:
        print_json({"error": error.to_json()})
        return
    sys.stdout.flush()
    sys.stderr.write("\n".join(error_lines(error, stream=sys.stderr)) + "\n")


def error_lines(error: StackError, *, stream: TextIO) -> list[str]:
    """Given an error, return its lines in the form of the command contract."""
    lines = [paint(f"error[{one_line(error.code)}]", "red", bold=True, stream=stream) + f" {one_line(error.what)}"]
    if isinstance(error, ConfigurationError):
        lines += [f"  {line}" for problem in error.problems for line in problem_lines(problem, stream=stream)]
    else:
        lines += _field("where:", error.where)
    if error.state:
        lines += _field("state:", error.state)
    if error.detail:
        detail = [one_line(line) for line in error.detail.rstrip("\n").split("\n")]
        if len(detail) > DETAIL_LINES:
            lines.append(f"  … {len(detail) - DETAIL_LINES} lines left out; --json shows all")
        lines += [f"  | {line}" for line in detail[-DETAIL_LINES:]]
    return lines + _field("do:", error.do)


def problem_lines(problem: Problem, *, stream: TextIO) -> list[str]:
    """Given a problem, return its lines: place, key and message; the source line, a caret below the place; the remedy.

    The source line is left out where there is none, and the key where the whole file is meant.
    """
    key = "" if problem.path == WHOLE_FILE else f"{paint(one_line(problem.path), bold=True, stream=stream)}: "
    lines = [f"{one_line(problem.place)}: {key}{one_line(problem.message)}"]
    if problem.excerpt:
        gutter = f"  {problem.line} | "
        lines += [gutter + sanitize(problem.excerpt), " " * (len(gutter) + problem.column - 1) + "^"]
    return [*lines, f"  do: {one_line(problem.remedy)}"]


def _field(label: str, text: str) -> list[str]:
    first, *rest = (one_line(line) for line in text.split("\n"))
    return [f"  {label:<6} {first}", *(f"         {line}" for line in rest)]
