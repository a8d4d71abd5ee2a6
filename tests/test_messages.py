"""The wording of every error stands in ``messages.txt``; tests elsewhere check the code of an error instead.

After a change of wording: ``python tests/test_messages.py``.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ddpm.system.errors import Code

SRC = Path(__file__).parents[1] / "src" / "ddpm"
SNAPSHOT = Path(__file__).with_name("messages.txt")


def wording(message: ast.expr) -> str:
    """A message as a user reads it, with the source of its values in braces."""
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(wording(part) for part in message.values)
    if isinstance(message, ast.FormattedValue):
        return f"{{{ast.unparse(message.value)}}}"
    if isinstance(message, ast.BinOp):
        return wording(message.left) + wording(message.right)
    return f"{{{ast.unparse(message)}}}"


def errors() -> Iterator[tuple[str, str, str]]:
    """The file, code and message of every ``InputError`` that is made."""
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError":
                code, message = node.args
                yield path.relative_to(SRC).as_posix(), wording(code), wording(message)


def snapshot() -> str:
    return "".join(f"{path}: {code}: {message}\n" for path, code, message in sorted(errors()))


def test_wordings():
    assert snapshot() == SNAPSHOT.read_text(encoding="utf-8"), "run python tests/test_messages.py and read the diff"


def test_every_message_is_one_line_with_a_known_code():
    for path, code, message in errors():
        assert code in get_args(Code) or code.startswith("{"), path
        assert "\n" not in message, path
        assert not message.endswith("."), path


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
