"""Looks through the files that git keeps (or would keep) for keys and for paths of somebody's own machine."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2_000_000

# The shapes that the services' own documentation gives their keys. Written so that none matches itself.
KEYS = {
    "an OpenAI or Stability key": r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}",
    "a Replicate token": r"\br8_[A-Za-z0-9]{30,}",
    "a Figma token": r"\bfig[du]_[A-Za-z0-9_-]{30,}",
    "a Canva token": r"\bcnv[a-z]{2,4}[A-Za-z0-9_-]{40,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,})",
    "a Google key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a password in a URL": r"\b(?:postgres(?:ql)?|redis|amqp|https?)://[^\s:/@\"'<>{}]+:(?!\*+@)[^\s/@\"'<>{}]{12,}@",
}
# Made-up values in tests and docs say so themselves.
MADE_UP = re.compile(r"planted|example|made-?up|not-?a-?secret|0000|1234|x{4}|\.\.\.", re.IGNORECASE)
# The home of a person or of this very checkout means nothing to anybody else.
HOMES = r"/roo[t]/|/(?:hom[e]|User[s])/(?!user\b|you\b|app\b)\w+/"
PLACES = re.compile(rf"(?<![\w.:/-])(?:{HOMES}|{re.escape(str(ROOT))}(?!\w))")


def main() -> None:
    files = tracked_files()
    found = [line for file in files for line in problems_in(file)]
    for line in found:
        print(line)
    if found:
        sys.exit(f"{len(found)} line(s) look like a key or a private path. Take them out; a real key must be revoked.")
    print(f"{len(files)} files: no keys, no private paths.")


def tracked_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        sys.exit("git cannot list the files. Run this in a git checkout.")
    return [path for name in sorted(set(names.split(b"\0"))) if name and (path := ROOT / name.decode()).is_file()]


def problems_in(file: Path) -> list[str]:
    content = file.read_bytes()[:MAX_BYTES]
    if b"\0" in content:
        return []
    found = []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        place = f"{file.relative_to(ROOT)}:{number}"
        for what, pattern in KEYS.items():
            match = re.search(pattern, line)
            if match and not MADE_UP.search(line):
                found.append(f"{place}: looks like {what}: {match.group()[:8]}...")
        if match := PLACES.search(line):
            found.append(f"{place}: a path of one machine: {match.group()}")
    return found


if __name__ == "__main__":
    main()
