"""The other end of the HTTP API: what the commands that speak to a running server share.

Knows the contract and the domain's rules for definitions, and nothing of what runs behind a server.
"""
