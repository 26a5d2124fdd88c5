"""LHC-Forms, the renderer that DTR apps use most, in a headless browser: what people see of a form.

    pages = seen({"hip-r2.2": (questionnaire, response)}, folder)    # screenshots in the folder
    pages["hip-r2.2"]["items"]["IMG-XR"]["answers"]                  -> ["Normal"]

What a page holds is described at the top of `render.mjs`. Node, the packages of `package.json` here (`npm
install`) and a Chromium are needed: `missing` says which is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str:
    """What must be installed first; empty where all is there."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (HERE / "node_modules" / "lforms").is_dir():
        return "LHC-Forms is not installed: run `npm install` in tests/forms"
    return (
        "" if _browser() else "no Chromium is installed: `apt-get install chromium`, or name one by CHROMIUM"
    )


def seen(forms: Mapping[str, tuple[Json, Json]], screenshots: Path) -> dict[str, Json]:
    """Each form, by name, with its response in it: rendered one after the other on one page."""
    listed = [{"name": n, "questionnaire": q, "response": r} for n, (q, r) in forms.items()]
    job = {"browser": _browser(), "screenshots": str(screenshots), "forms": listed}
    command = ["node", str(HERE / "render.mjs")]
    told = json.dumps(job, default=float)
    ran = subprocess.run(command, input=told, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def _browser() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)
