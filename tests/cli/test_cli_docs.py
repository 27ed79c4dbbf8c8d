"""Commands in help, README and documentation are ones that the command line understands, and none is left out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from xai_layermask.catalog import LAYOUTS, MASKINGS, PROTOCOL_SETTINGS
from xai_layermask.cli.parser import build, parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = (ROOT / "docs" / "commands.md").read_text("utf-8")


def commands(text):
    """The words of every command in some text, up to what belongs to the shell."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(r"^.*?\bxai-layermask ((?:[a-z]+|--).*)$", joined, re.MULTILINE):
        words = shlex.split(line, comments=True)
        yield words[: next((place for place, word in enumerate(words) if word in ("|", ">", "&&")), None)]


def shell_blocks(page):
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_page_are_understood(page):
    found = list(commands(shell_blocks(page)))
    assert found or "xai-layermask " not in shell_blocks(page)
    for words in found:
        assert parse(words).command == words[0]


def test_examples_of_the_help_are_understood():
    for name, command in build()[1].items():
        lines = [line for line in command.epilog.splitlines() if line.startswith("  ")]
        examples = list(commands("\n".join(lines).replace('"$(', "").replace(')"', "")))
        assert any(words[0] == name for words in examples)
        for words in examples:
            assert parse(words).command == words[0]


@pytest.mark.parametrize("name", list(build()[1]))
def test_the_reference_has_every_option(name):
    written = set(re.findall(r"--[a-z][a-z-]*", REFERENCE))
    assert f"## {name}\n" in REFERENCE
    for action in build()[1][name]._actions:
        assert not set(action.option_strings) - {"-h"} - written


def test_the_reference_has_every_name_and_setting():
    words = set(re.findall(r"`([^`\n]+)`", REFERENCE))
    assert not {*MASKINGS, *LAYOUTS, *PROTOCOL_SETTINGS} - words
    for protocol, settings in PROTOCOL_SETTINGS.items():
        listed = ", ".join(f"`{one}`" for one in settings) or "none"
        assert f"| `{protocol}` | {listed} |" in REFERENCE
