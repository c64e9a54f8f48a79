"""The control API and the console, for the rest of an application and for people who run the server."""
