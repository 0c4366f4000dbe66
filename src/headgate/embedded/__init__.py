"""This file is where the embedded catalog begins: the part of DataHub that a laptop needs, in the ledger's database.

registry and urns know what there may be; changes decodes what is to be written; patch, rules and edges are what a
write does; store and reading are its SQL; catalog puts these together; graph answers GraphQL; port is what the rest
of Headgate asks in DataHub's place. It is a development catalog: see docs/embedded-catalog.md.
"""
