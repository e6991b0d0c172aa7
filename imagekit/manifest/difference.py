"""What differs between two manifests: paths that one of them lacks, and properties that changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imagekit.manifest.combine import describe
from imagekit.manifest.grammar import KIND_NAMES, Directive
from imagekit.manifest.relations import can_stand, counts_over

_FIELDS = {"f": ("mode", "user", "group"), "d": ("mode", "user", "group"), "s": ("target",), "h": ("target",)}


@dataclass(frozen=True, slots=True)
class Difference:
    """A path at which two manifests differ; `old` or `new` is None where one of them has nothing."""

    path: str
    old: Directive | None
    new: Directive | None

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """What changed: property to its old and new value; the kind alone when that changed."""
        if self.old is None or self.new is None:
            return {}
        if self.old.kind != self.new.kind:
            return {"kind": (describe(self.old), describe(self.new))}
        pairs = zip(_FIELDS[self.old.kind], self.old.properties[1:], self.new.properties[1:], strict=True)
        return {name: (old, new) for name, old, new in pairs if old != new}

    def __str__(self) -> str:
        if self.old is None:
            return f"+ {self.path}: {describe(self.new)}" if self.new else ""
        if self.new is None:
            return f"- {self.path}: {describe(self.old)}"
        return f"~ {self.path}: " + ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.changes.items())

    def as_json(self) -> dict[str, object]:
        """Return what --json prints."""
        return {
            "path": self.path,
            "old": self.old and _properties(self.old),
            "new": self.new and _properties(self.new),
        }


def _properties(directive: Directive) -> dict[str, str | int]:
    values = zip(_FIELDS[directive.kind], directive.properties[1:], strict=True)
    kind = KIND_NAMES[directive.kind]
    return {"kind": kind, **dict(values), "file": directive.file, "line": directive.line}


def _by_path(directives: Iterable[Directive]) -> dict[str, Directive]:
    """Return the directive that counts at each path; a path that no image can have is compared as it is written."""
    result: dict[str, Directive] = {}
    for directive in directives:
        path = directive.path if can_stand(directive) else directive.name
        earlier = result.get(path)
        if earlier is None or counts_over(directive, earlier):
            result[path] = directive
    return result


def differences(old: Iterable[Directive], new: Iterable[Directive]) -> Iterator[Difference]:
    """Yield where two manifests differ, in the order of the paths: of several lines for a path one counts."""
    before, after = _by_path(old), _by_path(new)
    for path in sorted(before.keys() | after.keys()):
        left, right = before.get(path), after.get(path)
        if left is None or right is None or left.properties != right.properties:
            yield Difference(path, left, right)
