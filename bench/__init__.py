"""The benchmarks: `make bench`, one question a module; see docs/performance.md."""
