"""The server: a queue of requests, an API for programs and a page for people."""
