"""English, with dates that sort and cannot be mistaken."""
