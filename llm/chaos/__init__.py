"""Controlled failure injection: experiments, faults that expire by themselves, drills."""
