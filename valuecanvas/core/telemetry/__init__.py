"""What a process tells about itself: log lines, and the filter of personal data."""
