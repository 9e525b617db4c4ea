"""Apps that a benchmark copies into a project's folder, as its main.py."""
