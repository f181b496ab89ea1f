"""Hand-written queries: files of one statement a line.

`## db=regular epoch=ms` sets the database and the parameters for the lines below it, `#` begins a comment.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("queries")


@dataclass(frozen=True)
class Case:
    """One query and how it is asked."""

    file: str
    line: int
    db: str
    params: tuple
    text: str

    def __str__(self):
        return f"{self.file}:{self.line}"


def cases():
    """Every query of every file."""
    found = []
    for path in sorted(FOLDER.glob("*.iql")):
        db, params = "", ()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("## "):
                settings = dict(setting.split("=", 1) for setting in line[3:].split())
                db = settings.pop("db", "")
                params = tuple(settings.items())
            elif line.strip() and not line.startswith("#"):
                found.append(Case(path.stem, number, db, params, line))
    return found
