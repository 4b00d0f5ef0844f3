"""What `numnist COMMAND --help` says of the flags: in their users' words, not in Python's."""

import re
from argparse import SUPPRESS, ArgumentParser
from inspect import cleandoc
from typing import get_args

from pydantic import BaseModel

VALUES = {
    "int": "N",
    "float": "X",
    "str": None,  # argparse's own: the name of the flag
    "Path": "PATH",
    "tuple[float,float]": "R or LOW,HIGH",
    "tuple[int,...]": "N,N,...",
}
"""How the help shows the value of a flag of each type."""

NO_VALUE = "\0"
"""What stands for None on a command line: something that nobody can type, so `--name None` is a name."""

LONG = 60
"""Characters of a list of choices that are too many for the place before the text."""


def mend_help(parser: ArgumentParser, flags: type[BaseModel]) -> None:
    """Leave out what says nothing, and say of the flags of a table which of its kinds have them."""
    positional = [action.metavar or action.dest for action in parser._actions if not action.option_strings]
    parser.usage = " ".join(["%(prog)s", *(str(name).upper() for name in positional), "[FLAGS]"])
    parser.description = cleandoc(parser.description or "")
    for action in parser._actions:
        if action.help == SUPPRESS:
            continue
        metavar = str(action.metavar)
        action.metavar = None if len(metavar) > LONG else VALUES.get(metavar, action.metavar)
        table, _, key = action.dest.partition(".")
        kinds = _kinds(flags, table) if key else {}
        if key == "kind":
            text = f"(default: {flags.model_fields[table].default['kind']})"
        elif kinds:
            text = _of_kinds(kinds, key)
        else:
            text = re.sub(rf"\(default: ({NO_VALUE}|False)\)", "", action.help or "")
        if len(metavar) > LONG:
            text = text.replace(" (", f": {', '.join(metavar.strip('{}').split(','))} (", 1)
        action.help = re.sub(r"\(default: \((.*), (.*)\)\)", r"(default: \1,\2)", text).strip()


def _kinds(flags: type[BaseModel], table: str) -> dict[str, type[BaseModel]]:
    """The kinds of a table and what describes each; nothing where the table is of one kind only."""
    options = get_args(flags.model_fields[table].annotation)
    return {option.model_fields["kind"].default: option for option in options}


def _of_kinds(kinds: dict[str, type[BaseModel]], key: str) -> str:
    """The help of one flag of such a table: which kinds have it, and its default in each."""
    fields = {kind: table.model_fields[key] for kind, table in kinds.items() if key in table.model_fields}
    words = [field.description for field in fields.values() if field.description][:1]
    words += [] if len(fields) == len(kinds) else ["of " + ", ".join(fields)]
    defaults: dict[str, list[str]] = {}
    for kind, field in fields.items():
        defaults.setdefault("needed" if field.is_required() else str(field.default), []).append(kind)
    first, *others = defaults
    different = "".join(f"; {', '.join(defaults[default])}: {default}" for default in others)
    return "; ".join(words) + (" (needed)" if first == "needed" else f" (default: {first}{different})")
