"""This file is where the console begins: what people see of the ledger, as HTML.

words says things in words, picture lays out the flow, views gathers what a page shows, pages renders it. Nothing here
knows HTTP, and nothing here changes anything: the buttons press the REST API like everyone else.
"""
