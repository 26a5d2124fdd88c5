"""Canonical references, `url|version`."""

from typing import NamedTuple


class Canonical(NamedTuple):
    url: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def name(self) -> str:
        """The last step of the URL, by which our own artefacts are called."""
        return self.url.rpartition("/")[2]

    def names(self, other: "Canonical") -> bool:
        """Whether this, as a request, is met by `other`: same URL and, where asked for, same version."""
        return self.url == other.url and self.version in (None, other.version)


def canonical(text: str) -> Canonical:
    """`https://payer.example/Questionnaire/mri-knee|1.0.0`; a fragment belongs to the resource, not the
    version."""
    url, _, version = text.partition("|")
    return Canonical(url, version.partition("#")[0] or None)
