"""The catalogues in mediagen/locale, brought up to date with the source and compiled. `make messages` runs it.

    python .ci/messages.py            new texts are added without a translation, texts that are gone go
    python .ci/messages.py it         begins another language
    python .ci/messages.py --check    changes nothing; exit code 1 when it would have to

Needs GNU gettext (Debian: apt-get install gettext). tests/test_messages.py needs none, and says what is untranslated.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mediagen"
HEADER = re.compile(r'\A(?:#[^\n]*\n)*msgid ""\nmsgstr ""\n(?:"[^\n]*"\n)+')
# Dates and people are in git.
KEPT = ("Report-Msgid-Bugs-To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Plural-Forms")


def update(languages: list[str]) -> None:
    from django.core.management import call_command
    from django.core.management.commands.makemessages import Command

    # A guess that has to be corrected looks like a translation; an empty line does not.
    Command.msgmerge_options = ["-q", "--backup=none", "--no-fuzzy-matching", "--update"]
    os.chdir(PACKAGE)
    options = {"no_location": True, "no_wrap": True, "no_obsolete": True, "symlinks": True, "verbosity": 0}
    call_command(Command(), locale=languages, **options)
    for language in languages:
        _finish(language, PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po")


def _finish(language: str, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    header = HEADER.match(text)
    if header is None:
        raise SystemExit(f"{file} has no header.")
    lines = [line for line in header[0].splitlines() if line.startswith(tuple(f'"{name}:' for name in KEPT))]
    lines = ['"Project-Id-Version: mediagen\\n"', f'"Language: {language}\\n"', *lines]
    text = 'msgid ""\nmsgstr ""\n' + "\n".join(lines) + "\n" + text[header.end() :]
    file.write_text(text, encoding="utf-8")
    subprocess.run(["msgfmt", "--check-format", "-o", file.with_suffix(".mo"), file], check=True)


def main(arguments: list[str]) -> int:
    missing = [tool for tool in ("xgettext", "msgmerge", "msgfmt", "msguniq", "msgattrib") if not shutil.which(tool)]
    if missing:
        print(
            f"{', '.join(missing)} not found. Install GNU gettext (Debian: apt-get install gettext).", file=sys.stderr
        )
        return 2
    import django

    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
    django.setup()
    folder = PACKAGE / "locale"
    languages = sorted(one.name for one in folder.iterdir() if one.is_dir())
    if arguments != ["--check"]:
        update(sorted({*languages, *arguments}))
        return 0
    before = {file: file.read_bytes() for file in sorted(folder.rglob("django.?o"))}
    with tempfile.TemporaryDirectory() as kept:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        try:
            update(languages)
            stale = [str(file.relative_to(ROOT)) for file, was in before.items() if file.read_bytes() != was]
        finally:
            shutil.copytree(kept, folder, dirs_exist_ok=True)
    if stale:
        print(f"Not up to date: {', '.join(stale)}. Run make messages, and translate what is new.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
