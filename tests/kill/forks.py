"""A process with everything imported that forks one for each command on its stdin: a kill then costs no start-up.

`python -m tests.kill.forks`: a line is the command's arguments as JSON; the answer is the child's process id.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import django
from django.core.management import call_command


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                call_command(*json.loads(line))
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    django.setup()
    # What a first command would import.
    import mediagen.engine
    import mediagen.management.commands.generate_assets
    import mediagen.testing.keyed  # noqa: F401

    main()
