"""All configuration as one tree of YAML files.

<folder>/tiers.yaml, providers.yaml ...   a list of rows for each table of `sections`
<folder>/prompts/, <folder>/flags/        as export_prompts and export_flags write them
"""
