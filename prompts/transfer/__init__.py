"""Prompts as folders of YAML: written, read, and put into a database again.

    <folder>/<prompt's key>/prompt.yaml     where it is found, its labels
    <folder>/<prompt's key>/v0001.yaml      one file for each version, which never changes

So a new version is a new file, and a label's move is one changed line.
"""
