"""The web console and the public pages of boards: server-rendered, over the same operations as the API."""
