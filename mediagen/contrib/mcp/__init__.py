"""Pictures for assistants (Model Context Protocol): path("mcp/", include("mediagen.contrib.mcp.urls")).

Needs `pip install "mediagen[mcp]"` and the API's addresses. Every tool is one request to that API, with the token of
whoever calls it: the same rights, prices, budgets and refusals.
"""
