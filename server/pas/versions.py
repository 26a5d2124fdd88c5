"""The guide versions this door speaks, by the name of their base."""

from collections.abc import Mapping

from server.pas import v2_0, v2_2
from server.pas.version import Version

VERSIONS: Mapping[str, Version] = {"2.0": v2_0.VERSION, "2.2": v2_2.VERSION}
