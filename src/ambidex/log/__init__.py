"""What is logged, in one schema on both platforms."""
