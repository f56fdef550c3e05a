"""The plugin's own code.js, run by node in a small Figma (fake.js), against a site on a real socket."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class PluginRefused(Exception):
    """What the plugin answered instead of a result: {code, detail, status}."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["detail"])
        self.code = error["code"]


class Figma:
    """One document with pages 0:1 and 0:2, and whoever opens the plugin in it. `with Figma(folder) as figma:`"""

    def __init__(self, folder: Path) -> None:
        """`folder` is what `manage.py figma_plugin` wrote."""
        self.folder = folder
        self.process: Any = None
        self.number = 0

    def __enter__(self) -> Figma:
        node = shutil.which("node")
        if node is None:
            raise FileNotFoundError("node")
        self.process = subprocess.Popen(
            [node, str(HERE / "run.js"), str(self.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def do(self, op: str, **values: Any) -> Any:
        """One operation of run.js; AssertionError when the fake itself failed."""
        self.number += 1
        self.process.stdin.write(json.dumps({"id": self.number, "op": op, **values}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, plugin: str = "ada", **options: Any) -> Plugin:
        """Open the plugin, again with what it kept on this machine before."""
        self.do("open", plugin=plugin, options=options)
        return Plugin(self, plugin)

    def layers(self, page: str = "0:1") -> list[dict[str, Any]]:
        """What stands on a page."""
        (found,) = [one for one in self.do("seen")["pages"] if one["id"] == page]
        return list(found["children"])


class Plugin:
    def __init__(self, figma: Figma, name: str) -> None:
        self.figma = figma
        self.name = name

    def ask(self, action: str, **arguments: Any) -> Any:
        """What the page asks of code.js; `PluginRefused` when it says no."""
        return understood(self.figma.do("ask", plugin=self.name, action=action, arguments=arguments))

    def ready(self, token: str, file: str) -> Plugin:
        """Signed in, and told which file this is."""
        self.ask("sign-in", token=token)
        self.ask("choose-file", file=file)
        return self


def understood(answer: dict[str, Any]) -> Any:
    if answer.get("error"):
        raise PluginRefused(answer["error"])
    return answer["result"]
