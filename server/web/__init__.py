"""Pages and addresses that belong to no guide: for people, operators and monitoring."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"
