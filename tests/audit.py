"""Known vulnerabilities of what is installed, by pip-audit; `make audit`.

Exit codes: 0 none, 1 at least one, 2 the advisories could not be had or pip-audit is missing.
"""

import subprocess
import sys

COMMAND = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off"]
UNREACHABLE = ("ConnectionError", "Max retries", "NewConnectionError", "ServiceError", "Timeout")

UNKNOWN = "could not be audited"
"""pip-audit calls it a success where the service, or a mirror in its place, knows no package."""


def main() -> int:
    """Run it and say in one sentence what its failure means."""
    result = subprocess.run(COMMAND, check=False, capture_output=True, text=True)
    if "No module named pip_audit" in result.stderr:
        print("audit: pip-audit is missing; install the extra audit.", file=sys.stderr)
        return 2
    if result.returncode != 0 and any(word in result.stderr for word in UNREACHABLE):
        reason = result.stderr.strip().splitlines()[-1]
        print(
            f"audit: nothing was checked, as the advisory service cannot be reached: {reason}",
            file=sys.stderr,
        )
        return 2
    if UNKNOWN in result.stdout and result.returncode == 0:
        print(result.stdout, end="")
        count = result.stdout.count(UNKNOWN)
        print(f"audit: {count} packages are unknown to the advisory service.", file=sys.stderr)
        return 2
    print(result.stdout + result.stderr, end="")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
