"""Export and import of prompts as folders of YAML files.

    <folder>/<prompt's key>/prompt.yaml     its details and labels
    <folder>/<prompt's key>/v0001.yaml      one file for each version, which never changes

So a new version is a new file, and a label's move is one changed line.
"""
