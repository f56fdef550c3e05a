"""Looking at a picture costs no import of Pillow or Django."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import pictures

SCRIPT = """
import sys
from mediagen.images import inspect, fit, placeholder, decode_check
content = sys.stdin.buffer.read()
picture = inspect(content)
assert fit(content, picture, 64, 48)[2] == "as_asked"
assert fit(content, picture, 64, 0)[2] == "kept"
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("PIL", "django")))
placeholder(provider="sdxl", prompt="fox", width=8, height=8)
print("PIL" in sys.modules)
"""


def test_only_what_draws_or_decodes_imports_pillow():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pictures.png(64, 48), env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == ["", "True"]


def test_the_package_gives_functions_and_not_the_modules_of_the_same_names():
    import mediagen.images
    import mediagen.images.fit
    import mediagen.images.inspect
    import mediagen.images.placeholder

    assert callable(mediagen.images.inspect)
    assert callable(mediagen.images.fit)
    assert callable(mediagen.images.placeholder)
