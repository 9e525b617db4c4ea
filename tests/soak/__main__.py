"""`python -m tests.soak`: hundreds of thousands of invocations in one environment."""

import argparse
import json
import sys

from tests.soak.soak import Report, soak

INVOCATIONS = 300_000
_LEAST = 1000
_SHOWN = 20  # problems


def main() -> int:
    """Run what the command line asks for.

    Returns:
        The exit status: 0 nothing is wrong, 1 something is, 2 the command line is.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("-n", type=int, default=INVOCATIONS, help="invocations (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    if options.n < _LEAST:
        parser.error(f"-n must be {_LEAST} or more")
    report = soak(options.n, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(_document(report), indent=1) if options.json else _table(report))
    for problem in report.problems[:_SHOWN]:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


def _document(report: Report) -> dict[str, object]:
    samples = {
        name: sample._asdict() | {"usage": sample.usage._asdict()}
        for name, sample in (("early", report.early), ("late", report.late))
    }
    return report._asdict() | samples


def _table(report: Report) -> str:
    early, late = report.early, report.late
    rows = [
        ("Measured", "at 10 %", "at the end"),
        ("---", "---", "---"),
        ("RSS, MiB", _mib(early.usage.rss_bytes), _mib(late.usage.rss_bytes)),
        ("PSS, MiB", _mib(early.usage.pss_bytes), _mib(late.usage.pss_bytes)),
        ("file descriptors", str(early.usage.descriptors), str(late.usage.descriptors)),
        ("threads", str(early.usage.threads), str(late.usage.threads)),
        ("asyncio tasks in an invocation", str(early.tasks), str(late.tasks)),
    ]
    rate = report.invocations / report.seconds
    return "\n".join(
        (
            f"{report.invocations:,} invocations of {len(report.by_kind)} kinds in "
            f"{report.seconds:.0f} s ({rate:,.0f} a second), {report.connections} connections, "
            f"{len(report.problems)} problems",
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
        )
    )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f}"


if __name__ == "__main__":
    sys.exit(main())
