"""The name of a kind of objects, and its addresses."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects of an API server.

    Attributes
    ----------
    group : str
        Empty for the core group.
    version, plural : str
        Such as `v1`, `pods`.
    namespaced : bool
        Objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Path below the server's address: of the collection, of an object, of a part of one.

        Parameters
        ----------
        namespace : str, optional
            Without, the path is that of all namespaces.
        name, subresource : str
            Empty for the collection, for the whole object.

        Examples
        --------
        >>> Resource("apps", "v1", "deployments").path("default", "hello", "scale")
        '/apis/apps/v1/namespaces/default/deployments/hello/scale'
        >>> Resource("", "v1", "pods").path()
        '/api/v1/pods'
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return "/".join(part for part in (f"{root}{within}/{self.plural}", name, subresource) if part)
