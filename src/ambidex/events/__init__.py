"""Event sources: one module each, with four pure functions between HTTP and Lambda's JSON."""
