"""What belongs together because one thing leads to another: connected components of names."""


class Components:
    """Names in disjoint groups, which `join` makes one; a name is alone until it is joined."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        """Make the groups of the two names one."""
        self._parent[self.of(other)] = self.of(one)

    def of(self, name: str) -> str:
        """The name that stands for the group of `name`."""
        parent = self._parent
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def names(self) -> list[str]:
        """All names that have been met, sorted."""
        return sorted(self._parent)
