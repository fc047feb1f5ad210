"""The web page: current and past events in a browser.

A Starlette application on uvicorn, in a thread of its own. It receives records as a sink,
reads the states of sources from the service, and past events from the store; `protocol` is
their interface. It cannot delay detection.
"""
