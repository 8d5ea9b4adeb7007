"""``python -m tests.golden``: say which outputs are not as they were; with ``--write`` take them as they are.

``--write`` is only for a change that is meant to change bytes, or for other versions of the libraries. The
commit says which outputs changed and why; what this prints before it writes goes into its message.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.golden import outcome


def main() -> int:
    """Run, compare and, if asked, write the golden file anew; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="Write golden.json anew.")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        now = outcome.run(Path(folder))
    wrong = outcome.unlike(now)
    changed = outcome.differences(outcome.read(), now) if outcome.GOLDEN.exists() else []
    print(*now["machine"].values(), *wrong, *changed, sep="\n")
    print(f"{len(now['found'])} outputs, {len(changed)} not as they were")
    if not write or wrong:
        return int(bool(wrong or changed))
    outcome.write(now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
