"""What is read before it is trusted is short."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE, FUNCTION = 400, 50  # lines


def sources() -> Iterator[Path]:
    yield from (ROOT / "sessiond").rglob("*.py")
    for plugin in (ROOT / "plugins").iterdir():
        yield from (each for each in plugin.rglob("*.[jpq]*") if "tests" not in each.parts)


def test_no_file_of_the_product_is_long() -> None:
    lengths = {
        str(each.relative_to(ROOT)): len(each.read_text().splitlines())
        for each in sources()
        if each.suffix in {".py", ".q", ".java"}
    }
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > FILE} == {}


def test_no_function_of_the_product_is_long() -> None:
    long = {}
    for source in sources():
        if source.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION:
                    long[f"{source.name}:{node.name}"] = length
    assert long == {}
