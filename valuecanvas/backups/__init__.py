"""Backups: encrypted copies of the whole database, each proved by restoring it.

A backup is a folder in the storage `backups` (a local folder or S3):

    <name>/database.dump.age      pg_dump's custom format
    <name>/contents.json.age      rows and hash of each table, and the key material
    <name>/summary.json           sizes and SHA-256 of both; written last
    <name>/rehearsal.json         the result of the last restore for trial
"""
