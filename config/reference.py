"""What the documentation and the shipped ConfigMap say of each key and annotation, made from the code.

`docs/configuration.md` ends with `markdown()`, and the block `_example` of the shipped ConfigMap ends with
`example()`. After a change, print them (`python -c "from config.reference import example; print(example())"`)
and put them there.
"""

import re
from collections.abc import Iterable, Sequence
from textwrap import wrap
from zlib import crc32

from config.annotations import ANNOTATIONS, PREFIX
from config.autoscaler import SETTINGS, profile
from config.settings import Setting

_WIDTH = 96  # columns of the example block


def markdown() -> str:
    """Tables of all keys, of the reasons for their values, and of all annotations."""
    inference, knative = profile("inference"), profile("knative")
    keys = [
        (
            f"`{key}`",
            setting.meaning,
            setting.unit,
            f"`{setting.kind.format(inference[key])}`",
            f"`{setting.kind.format(knative[key])}`",
            setting.allowed,
            f"`{setting.annotation}`" if setting.annotation else "",
        )
        for key, setting in SETTINGS.items()
    ]
    reasons = [(f"`{key}`", setting.reason, setting.bounds_reason) for key, setting in SETTINGS.items()]
    annotations = [
        (", ".join(f"`{name.removeprefix(PREFIX)}`" for name in each.names), each.allowed, each.otherwise)
        for each in ANNOTATIONS.values()
    ]
    return "\n".join(
        [
            "## Keys of the ConfigMap\n",
            *_table(("Key", "Meaning", "Unit", "`inference`", "`knative`", "Must be", "Annotation"), keys),
            "\n## Why these values\n",
            *_table(("Key", "Default of `inference`", "Range"), reasons),
            "\n## Annotations of a revision\n",
            *_table(("Annotation, alternate", "Must be", "Without it"), annotations),
        ]
    )


def example() -> str:
    """Every key with its meaning, range and default, as a text for the ConfigMap's block `_example`."""
    return "\n".join(_example_of(key, setting) for key, setting in SETTINGS.items())


def checksum(block: str) -> str:
    """Value of the annotation `knative.dev/example-checksum` for a block `_example`.

    Knative's webhook compares them, to tell an operator who edits the block that nothing reads it.
    Source: `knative/pkg configmap/example.go`.
    """
    folded = re.sub(r"(\r?\n)+", r"\\n", block.strip())  # a newline becomes two characters there
    return f"{crc32(folded.encode()):08x}"


def _example_of(key: str, setting: Setting) -> str:
    inference, knative = (setting.kind.format(profile(name)[key]) for name in ("inference", "knative"))
    paragraphs = [
        f"{setting.meaning} {f'Unit: {setting.unit}.' if setting.unit else ''}",
        f"Must be {setting.allowed}. {setting.bounds_reason}",
        f"Default {inference}, in Knative {knative}. {setting.reason}",
    ]
    lines = [line for each in paragraphs for line in wrap(each, _WIDTH - 2, break_on_hyphens=False)]
    return "\n".join([*(f"# {line}" for line in lines), f'{key}: "{inference}"', ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
