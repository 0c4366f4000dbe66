"""This package is the source `headgate-glue` of `datahub ingest`: AWS Glue's catalog, read fast.

It makes the same aspects as DataHub's own source `glue` does with `extract_transforms: false`, and hands over to that
one, saying so, where a recipe asks for what it has not. It is loaded by DataHub, by its entry point, in processes that
ingest; the server never imports it.

- `options`: what a recipe may say, and what of it is beyond us
- `wire`: Glue's catalog, page by page
- `hive`, `columns`: a column's type, and as schema fields
- `aspects`: a table as aspects
- `lineage`, `links`: what a table is a copy of
- `views`: what view SQL says about lineage
- `proposals`: aspects that are written as they were prepared
- `report`: what a run has to say for itself
- `source`: all of it in a row
"""
